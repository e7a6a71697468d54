import type { Binder } from '../db/plan.ts'
import { filteredSql } from './aliases.ts'
import { isNumeric } from './custom.ts'
import { columnOf, type Entity } from './define.ts'
import { type Filter, fieldOf, type ListQuery } from './list-query.ts'
import type { Registry } from './registry.ts'

/** SQL over alias `r` for the filters of a list and its quick find, but for the filter by which the rows are found. */
export function conditionsOf(entity: Entity, query: ListQuery, driving: Filter | undefined, bind: Binder): string[] {
  const conditions = query.filters
    .filter((filter) => filter !== driving)
    .map((filter) => conditionSql(entity, filter, bind))
  return query.q === null ? conditions : [...conditions, `r.id = any(${bind('found', 'uuid[]')})`]
}

function conditionSql(entity: Entity, filter: Filter, bind: Binder): string {
  const parameter = parameterOf(filter)
  if (filter.custom) return sideCondition(entity, filter, 'custom', bind)
  const field = fieldOf(entity, filter.name)
  const column = `r.${field.sortColumn ?? columnOf(filter.name, field)}`
  const type = field.sortType ?? field.type
  const { operator } = filter
  if (field.side) return sideCondition(entity, filter, field.side, bind)
  if (operator === 'isNull') return `(${column} is null) = ${bind(parameter, 'boolean')}`
  if (operator === 'in') return `${column} = any(${bind(parameter, `${type}[]`)})`
  if (operator === 'ne') return `${column} is distinct from ${bind(parameter, type)}`
  if (operator === 'nin') return `(${column} is null or ${column} <> all(${bind(parameter, `${type}[]`)}))`
  if (operator === 'contains') return `strpos(lower(${column}), lower(${bind(parameter, 'text')})) > 0`
  if (operator === 'startsWith') return `starts_with(lower(${column}), lower(${bind(parameter, 'text')}))`
  return `${column} ${symbols[operator]} ${bind(parameter, type)}`
}

/** A condition on what a record has several of. `ne`, `nin` and `isNull=true` also hold where there is no value at all. */
function sideCondition(entity: Entity, filter: Filter, side: 'tags' | 'links' | 'custom', bind: Binder): string {
  const { operator } = filter
  const parameter = parameterOf(filter)
  const numeric = isNumeric(filter.custom?.type ?? '')
  const { table, of, column, type } = {
    tags: { table: 'record_tags', of: `s.record_type = '${entity.type}'`, column: 's.tag', type: 'text' },
    links: {
      table: 'record_links',
      of: `s.record_type = '${entity.type}' and s.member = '${filter.name}'`,
      column: 's.target_id',
      type: 'uuid',
    },
    custom: {
      table: 'custom_values',
      of: side === 'custom' ? `s.field_id = ${bind(`${parameter}Field`, 'uuid')}` : '',
      column: numeric ? 's.number_value' : 's.text_value',
      type: numeric ? 'double precision' : 'text',
    },
  }[side]
  const exists = (condition: string): string =>
    `exists (select 1 from ${table} s where s.tenant_id = ${bind('tenant', 'uuid')} and s.record_id = r.id and ${of} and ${condition})`
  const any = () => exists(`${column} = any(${bind(parameter, `${type}[]`)})`)
  if (operator === 'eq' || operator === 'in') return any()
  if (operator === 'ne' || operator === 'nin') return `not ${any()}`
  if (operator === 'isNull') return `(not ${exists('true')}) = ${bind(parameter, 'boolean')}`
  const text = () => `lower(${bind(parameter, 'text')})`
  if (operator === 'contains') return exists(`strpos(lower(${column}), ${text()}) > 0`)
  if (operator === 'startsWith') return exists(`starts_with(lower(${column}), ${text()})`)
  return exists(`${column} ${symbols[operator]} ${bind(parameter, type)}`)
}

/** SQL that leaves archived records out, unless a filter asks for them. */
export const archivedSql = (query: ListQuery): string =>
  query.filters.some((filter) => filter.name === 'archivedAt') ? 'true' : 'r.archived_at is null'

/** Operators that SQL writes by a sign. */
export const symbols: Readonly<Record<string, string>> = { eq: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' }

/** The name of a filter's parameter. */
export const parameterOf = (filter: Filter): string => `${filter.name}_${filter.operator}`

/** Binds a filter by reference to what merged ids stand for now. */
export function followingMerges(entity: Entity, query: ListQuery, registry: Registry, bind: Binder): Binder {
  const references = query.filters.filter(({ custom }) => !custom)
  const fields = new Map(references.map((filter) => [parameterOf(filter), fieldOf(entity, filter.name)]))
  return (name, type) => {
    const field = fields.get(name)
    const parameter = bind(name, type)
    return field ? filteredSql(field, type, parameter, registry, bind) : parameter
  }
}
