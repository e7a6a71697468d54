import type { Binder } from '../db/plan.ts'
import type { Reach, Scope } from '../rights.ts'
import { filteredSql } from './aliases.ts'
import { type CustomField, isNumeric } from './custom.ts'
import {
  type CustomOrder,
  orderColumn,
  orderType,
  orderValueSql,
  recordsInOrder,
  recordsWithout,
} from './custom-order.ts'
import { columnOf, type Entity, isNeverNull } from './define.ts'
import { documentSql } from './document.ts'
import type { Field } from './fields.ts'
import { type Filter, fieldOf, type ListQuery } from './list-query.ts'
import type { Registry } from './registry.ts'
import { scopeSql, waysOf } from './scope.ts'

/** A key of the order: its SQL over the rows that a branch gives, its type in a cursor, and whether it can be null. */
interface Key {
  readonly sql: string
  readonly type: string
  readonly descending: boolean
  readonly nullable: boolean
}

/** Where the cursor stands, so far as it makes another statement: before the rows with a value, or among those without. */
export type CursorPart = 'none' | 'value' | 'null'

/**
 * A page by keyset. One key is read in two branches, rows with a value and then rows without, each straight from the
 * index `(tenant, key, id)`: nulls come last in both directions, and no row comparison meets one.
 */
export function listSql(
  entity: Entity,
  query: ListQuery,
  scope: Scope,
  cursor: CursorPart,
  registry: Registry,
  plainly: Binder,
): string {
  const bind = followingMerges(entity, query, registry, plainly)
  const { driver, order, sources, fixed } = findingOf(entity, query, scope, bind)
  const keys = query.sort.map((_sort, place) => keyOf(entity, query, place, driver, order !== null, bind))
  const [first] = keys
  if (!first) throw new Error('a list has no order')
  const rows = query.limit + 1
  const branches = order
    ? orderedBranches(entity, order, first, fixed, cursor, rows, bind)
    : sources.flatMap((source) =>
        keys.length === 1
          ? branchesOf(first, fixed, source, cursor, rows, bind)
          : [branch(keys, [...fixed, ...(cursor === 'none' ? [] : [afterSql(keys, bind)])], source, rows)],
      )
  const direction = (descending: boolean) => (descending ? 'desc' : 'asc')
  const byKeys = [
    ...(keys.length === 1 ? ['part'] : []),
    ...keys.map((key, index) => `k${index} ${direction(key.descending)} nulls last`),
    `id ${direction(keys.at(-1)?.descending ?? false)}`,
  ].join(', ')
  const last = (sql: string) => `max(${sql}) filter (where r.place = ${query.limit})`
  return `with page as (
      select b.*, row_number() over (order by ${byKeys}) as place from (${branches.join(' union all ')}) b order by ${byKeys} limit ${rows}
    )
    select coalesce(json_agg(${documentSql(entity, 'json', query.fields ?? undefined)} order by r.place) filter (where r.place <= ${query.limit}), '[]')::text as data,
      count(*) > ${query.limit} as more, ${keys.map((_key, index) => `${last(`r.k${index}::text`)} as last${index}`).join(', ')},
      ${last('r.id::text')} as last_id from page r`
}

/** How many there are, counted to 10,001. */
export function countSql(entity: Entity, query: ListQuery, scope: Scope, registry: Registry, plainly: Binder): string {
  const bind = followingMerges(entity, query, registry, plainly)
  const { sources, fixed } = findingOf(entity, query, scope, bind)
  const branches = sources.map(({ values, rows, several }) => {
    const from = values === null ? rows : `(${values}) v cross join lateral (${rows}) r`
    return `(select ${several ? 'distinct r.id' : 'r.id'} from ${from} where ${fixed.join(' and ')} limit 10001)`
  })
  return `select count(*)::integer as total from (select 1 from (${branches.join(' union all ')}) b limit 10001) c`
}

/** From where a list takes its rows: the table itself, or those of each value of a narrow table or an index. */
interface Source {
  /** SQL for the values, one a row; null: `rows` stand by themselves. */
  readonly values: string | null
  /** SQL for the rows of one value `v.value`. */
  readonly rows: string
  /** SQL for the id in the order of the index. */
  readonly id: string
  /** A record that several values give is one row of the list. */
  readonly several: boolean
}

/** How a list is found: by the filter that drives it, by the ways in which records belong to the caller, or by its order. */
function findingOf(
  entity: Entity,
  query: ListQuery,
  scope: Scope,
  bind: Binder,
): { driver: Driver | null; order: CustomOrder | null; sources: Source[]; fixed: string[] } {
  const driving = driverOf(entity, query)
  const order = driving ? null : orderOf(query)
  // What belongs to few is found by whose it is, but for an order that only a side table has.
  const byHolder = typeof scope !== 'string' && order === null && !(driving?.side === 'custom' && driving.own)
  const driver = byHolder ? null : driving
  const live = ['r.deleted_at is null', archivedSql(query)]
  const fixed = [
    `r.tenant_id = ${bind('tenant', 'uuid')}`,
    ...live,
    ...(byHolder ? [] : [scopeSql(entity, scope, 'r', bind, 'holders')]),
    ...conditionsOf(entity, query, driver, bind),
  ]
  const inOrder = query.sort.length === 1 && query.sort[0]?.name === 'createdAt'
  const sources = byHolder
    ? holderSources(entity, scope, { live: live.join(' and '), inOrder }, bind)
    : [sourceOf(entity, driver, bind)]
  return { driver, order, sources, fixed }
}

function holderSources(
  entity: Entity,
  scope: Reach,
  order: { live: string; inOrder: boolean },
  bind: Binder,
): Source[] {
  const values = `select unnest(${bind('holders', 'uuid[]')}) as value`
  return waysOf(entity, scope, order, bind, 'holders').map((way) => ({ ...way, values, id: 'r.id' }))
}

function sourceOf(entity: Entity, driver: Driver | null, bind: Binder): Source {
  if (!driver) return { values: null, rows: `${entity.table} r`, id: 'r.id', several: false }
  const [values, rows] = [driverRows(driver, bind), driverJoin(entity, driver, bind)]
  return { values, rows, id: driver.side ? 'r.side_id' : 'r.id', several: driver.several }
}

/** The filter that picks the rows from a narrow table, or value by value from an index in the list's order. */
interface Driver {
  readonly filter: Filter
  readonly side: 'tags' | 'links' | 'custom' | null
  readonly field: Field | null
  readonly several: boolean
  readonly ranged: boolean
  /** The list runs by the filtered member itself. */
  readonly own: boolean
}

function driverOf(entity: Entity, query: ListQuery): Driver | null {
  const [first, ...more] = query.sort
  if (more.length > 0) return null
  for (const filter of query.filters) {
    const field = filter.custom ? null : fieldOf(entity, filter.name)
    const side = filter.custom ? 'custom' : (field?.side ?? null)
    const several = filter.operator === 'in'
    const matching = several || filter.operator === 'eq'
    const own = first?.name === filter.name
    const driver = { filter, side, field, several, ranged: !matching, own }
    const inOrder = own || first?.name === 'createdAt'
    // A record is found by each of its options, and stands in the list by the first.
    if (own && filter.custom?.type === 'multiselect') continue
    if (side && matching && inOrder) return driver
    if (side === 'custom' && own && filter.operator in symbols) return driver
    if (!side && several && inOrder) return driver
  }
  return null
}

/** The custom field whose values the list goes through in their order. With a quick find it sorts the few that were found. */
function orderOf({ sort, q }: ListQuery): CustomOrder | null {
  const [first, ...more] = sort
  return first?.custom && more.length === 0 && q === null ? orderBy(first.custom, 0) : null
}

const orderBy = (custom: CustomField, place: number): CustomOrder => ({ custom, parameter: `sort${place}Field` })

function keyOf(
  entity: Entity,
  { sort }: ListQuery,
  place: number,
  driver: Driver | null,
  inOrder: boolean,
  bind: Binder,
): Key {
  const { name, descending, custom } = sort[place] ?? { name: '', descending: false }
  if (custom) {
    const order = orderBy(custom, place)
    const sql = driver?.own || inOrder ? 'r.side_key' : orderValueSql(order, bind)
    return { sql, type: orderType(order), descending, nullable: !driver?.own }
  }
  const field = fieldOf(entity, name)
  const column = driver?.side && name === 'createdAt' ? 'r.side_key' : `r.${field.sortColumn ?? columnOf(name, field)}`
  return { sql: column, type: field.sortType ?? field.type, descending, nullable: canBeNull(entity, name) }
}

/** Whether the list may hold records without what it runs by first. */
export function mayLackFirst(entity: Entity, query: ListQuery): boolean {
  const [first] = query.sort
  if (!first) return false
  return first.custom ? !driverOf(entity, query)?.own : canBeNull(entity, first.name)
}

/** Whether records may lack the member that a list runs by. */
function canBeNull(entity: Entity, name: string): boolean {
  const field = entity.all[name]
  return field !== undefined && !isNeverNull(field) && name !== 'createdAt' && name !== 'updatedAt'
}

function branchesOf(
  key: Key,
  fixed: readonly string[],
  source: Source,
  cursor: CursorPart,
  rows: number,
  bind: Binder,
): string[] {
  const compare = key.descending ? '<' : '>'
  const { id } = source
  const withValue = [
    ...fixed,
    ...(key.nullable ? [`${key.sql} is not null`] : []),
    ...(cursor === 'value'
      ? [`(${key.sql}, ${id}) ${compare} (${bind('last0', key.type)}, ${bind('lastId', 'uuid')})`]
      : []),
  ]
  const withoutValue = [
    ...fixed,
    `${key.sql} is null`,
    ...(cursor === 'null' ? [`${id} ${compare} ${bind('lastId', 'uuid')}`] : []),
  ]
  return [
    ...(cursor === 'null' ? [] : [branch([key], withValue, source, rows, 0)]),
    ...(key.nullable ? [branch([key], withoutValue, source, rows, 1)] : []),
  ]
}

/**
 * The same in the order of a custom field. Who has no value is found by looking for those who have one: only where the page
 * is not full without them.
 */
function orderedBranches(
  entity: Entity,
  order: CustomOrder,
  key: Key,
  fixed: readonly string[],
  cursor: CursorPart,
  rows: number,
  bind: Binder,
): string[] {
  const direction = key.descending ? 'desc' : 'asc'
  const compare = key.descending ? '<' : '>'
  const last = () => bind('lastId', 'uuid')
  const part = (from: string, place: number, where: readonly string[], by: string): string =>
    `select r.*, ${key.sql} as k0, ${place} as part from (${from}) r
     where ${[...fixed, ...where].join(' and ')} order by ${by} limit ${rows}`
  const without = (behind: ((id: string) => string) | null, where: readonly string[]): string =>
    part(recordsWithout(entity, order, behind, bind), 1, where, `r.side_id ${direction}`)
  if (cursor === 'null') return [`(${without((id) => `${id} ${compare} ${last()}`, [])})`]
  const after = cursor === 'value' ? [`(${key.sql}, r.side_id) ${compare} (${bind('last0', key.type)}, ${last()})`] : []
  const valued = part(recordsInOrder(entity, order, bind), 0, after, `${key.sql} ${direction}, r.side_id ${direction}`)
  return [
    `(with valued as materialized (${valued})
      select * from valued union all (${without(null, [`(select count(*) from valued) < ${rows}`])}))`,
  ]
}

function branch(keys: readonly Key[], where: readonly string[], source: Source, limit: number, part?: number): string {
  const { values, rows, id, several } = source
  const direction = (key: Key | undefined) => (key?.descending ? 'desc' : 'asc')
  const nulls = part === undefined ? ' nulls last' : ''
  const order = `${keys.map((key) => `${key.sql} ${direction(key)}${nulls}`).join(', ')}, ${id} ${direction(keys.at(-1))}`
  const columns = `${keys.map((key, index) => `${key.sql} as k${index}`).join(', ')}${part === undefined ? '' : `, ${part} as part`}`
  const from = values === null ? rows : `(${rows}) r`
  const rowsOf = `select r.*, ${columns} from ${from} where ${where.join(' and ')} order by ${order} limit ${limit}`
  if (values === null) return `(${rowsOf})`
  const each = `(${values}) v cross join lateral (${rowsOf}) p`
  if (!several) return `(select p.* from ${each})`
  const places = keys.map((_key, index) => `k${index}`)
  const inOrder = keys.map((key, index) => `k${index} ${direction(key)}${nulls}`)
  return `(select distinct on (${places.join(', ')}, id) p.* from ${each}
    order by ${inOrder.join(', ')}, id ${direction(keys.at(-1))} limit ${limit})`
}

/** The values of the driver, one a row. */
function driverRows(driver: Driver, bind: Binder): string {
  if (driver.ranged) return 'select 1 as value'
  const type = driver.side === null ? (driver.field?.sortType ?? driver.field?.type ?? 'text') : sideType(driver)
  return `select unnest(${bind(parameterOf(driver.filter), `${type}[]`)}) as value`
}

const sideType = (driver: Driver): string => {
  if (driver.side === 'links') return 'uuid'
  return driver.side === 'custom' && isNumeric(driver.filter.custom?.type ?? '') ? 'double precision' : 'text'
}

/** The rows of one value `v.value` in the order of the index. */
function driverJoin(entity: Entity, driver: Driver, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  const { filter, field } = driver
  if (driver.side === null && field) {
    return `select r.* from ${entity.table} r where r.tenant_id = ${tenant} and r.${field.sortColumn ?? columnOf(filter.name, field)} = v.value`
  }
  // Fenced, so that the planner goes from the side's rows to their records: a plan for all values believes every tenant to
  // be of the mean size, and would hash the records of a big one.
  const join = `cross join lateral (select r.* from ${entity.table} r where r.tenant_id = ${tenant} and r.id = s.record_id offset 0) r`
  if (driver.side === 'tags') {
    return `select r.*, s.created_at as side_key, s.record_id as side_id from record_tags s ${join}
      where s.tenant_id = ${tenant} and s.record_type = '${entity.type}' and s.tag = v.value`
  }
  if (driver.side === 'links') {
    return `select r.*, s.created_at as side_key, s.record_id as side_id from record_links s ${join}
      where s.tenant_id = ${tenant} and s.record_type = '${entity.type}' and s.member = '${filter.name}' and s.target_id = v.value`
  }
  const order = driver.own && filter.custom ? orderBy(filter.custom, 0) : null
  const column = order ? orderColumn(order) : sideType(driver) === 'text' ? 's.text_value' : 's.number_value'
  const key = order ? column : 's.created_at'
  const condition = driver.ranged
    ? `${column} ${symbols[filter.operator]} ${bind(parameterOf(filter), 'double precision')}`
    : `${column} = v.value`
  return `select r.*, ${key} as side_key, s.record_id as side_id from custom_values s ${join}
    where s.tenant_id = ${tenant} and s.field_id = ${bind(`${parameterOf(filter)}Field`, 'uuid')} and ${condition}${order ? ' and s.place = 0' : ''}`
}

const symbols: Readonly<Record<string, string>> = { eq: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' }

/** The name of a filter's parameter. */
const parameterOf = (filter: Filter): string => `${filter.name}_${filter.operator}`

/** Binds a filter by reference to what merged ids stand for now. */
function followingMerges(entity: Entity, query: ListQuery, registry: Registry, bind: Binder): Binder {
  const references = query.filters.filter(({ custom }) => !custom)
  const fields = new Map(references.map((filter) => [parameterOf(filter), fieldOf(entity, filter.name)]))
  return (name, type) => {
    const field = fields.get(name)
    const parameter = bind(name, type)
    return field ? filteredSql(field, type, parameter, registry, bind) : parameter
  }
}

/** The parameters of filters and sort: what is looked up in a side table is always a list. */
export function listValues(entity: Entity, { filters, sort }: ListQuery): Record<string, unknown> {
  return Object.fromEntries([
    ...sort.flatMap(({ custom }, place) => (custom ? [[orderBy(custom, place).parameter, custom.id]] : [])),
    ...filters.flatMap((filter) => {
      const side = filter.custom !== undefined || entity.all[filter.name]?.side !== undefined
      const value = side && (filter.operator === 'eq' || filter.operator === 'ne') ? [filter.value] : filter.value
      const name = parameterOf(filter)
      return [[name, value], ...(filter.custom ? [[`${name}Field`, filter.custom.id]] : [])]
    }),
  ])
}

const archivedSql = (query: ListQuery): string =>
  query.filters.some((filter) => filter.name === 'archivedAt') ? 'true' : 'r.archived_at is null'

function conditionsOf(entity: Entity, query: ListQuery, driver: Driver | null, bind: Binder): string[] {
  const conditions = query.filters
    .filter((filter) => filter !== driver?.filter)
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

/** Several keys: after the cursor key by key, where a null stands behind every value. */
function afterSql(keys: readonly Key[], bind: Binder): string {
  const alternatives = keys.map((key, index) => {
    const value = bind(`last${index}`, key.type)
    const further = `((${value} is not null and ${key.sql} is null) or ${key.sql} ${key.descending ? '<' : '>'} ${value})`
    return [
      ...keys
        .slice(0, index)
        .map((earlier, place) => `${earlier.sql} is not distinct from ${bind(`last${place}`, earlier.type)}`),
      further,
    ].join(' and ')
  })
  const same = keys
    .map((key, index) => `${key.sql} is not distinct from ${bind(`last${index}`, key.type)}`)
    .join(' and ')
  const id = `r.id ${keys.at(-1)?.descending ? '<' : '>'} ${bind('lastId', 'uuid')}`
  return `(${[...alternatives.map((sql) => `(${sql})`), `(${same} and ${id})`].join(' or ')})`
}
