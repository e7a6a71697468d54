import type { Binder } from '../db/plan.ts'
import type { Reach, Scope } from '../rights.ts'
import { type CustomField, isNumeric } from './custom.ts'
import { type CustomOrder, orderColumn } from './custom-order.ts'
import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'
import { archivedSql, conditionsOf, parameterOf, symbols } from './list-conditions.ts'
import { type Filter, fieldOf, type ListQuery } from './list-query.ts'
import { scopeSql, scopeUsers, waysOf } from './scope.ts'

/** From where a list takes its rows: the table itself, or those of each value of a narrow table or an index. */
export interface Source {
  /** SQL for the values, one a row; null: `rows` stand by themselves. */
  readonly values: string | null
  /** SQL for the rows, as alias `r`, of one value `v.value`. */
  readonly rows: string
  /** SQL for the id in the order of the index. */
  readonly id: string
  /** A record that several values give is one row of the list. */
  readonly several: boolean
}

/**
 * How a list is found of which its caller reads a part: by the `ways` in which records belong to him, or by a `walk` through
 * what all have, which reads less when much of it is his.
 */
export type Manner = 'ways' | 'walk'

/**
 * Whether a list can be found in either manner: a walk goes one way alone, and its bound holds only where no filter throws
 * rows away before.
 */
export function hasManners(entity: Entity, query: ListQuery, scope: Scope): boolean {
  const driving = driverOf(entity, query)
  const others = query.filters.filter((filter) => filter !== driving?.filter)
  return query.sort.length === 1 && others.length === 0 && !driving?.several && isByHolder(query, scope, driving)
}

/** What a list is found by, of several sorts or by an order that only a side table has by its filter or order alone. */
export function findingOf(
  entity: Entity,
  query: ListQuery,
  scope: Scope,
  manner: Manner,
  bind: Binder,
): {
  driver: Driver | null
  order: CustomOrder | null
  sources: Source[]
  fixed: string[]
  /** SQL for whether the scope reaches a row that a walk meets; null: it reaches all rows. */
  reached: string | null
} {
  const driving = driverOf(entity, query)
  const order = driving ? null : orderOf(query)
  const byHolder = isByHolder(query, scope, driving)
  const walking = byHolder && manner === 'walk'
  const driver = byHolder && !walking ? null : driving
  const live = ['r.deleted_at is null', archivedSql(query)]
  const fixed = [
    `r.tenant_id = ${bind('tenant', 'uuid')}`,
    ...live,
    ...(byHolder ? [] : [scopeSql(entity, scope, 'r', bind, 'holders')]),
    ...conditionsOf(entity, query, driver?.filter, bind),
  ]
  const inOrder = query.sort.length === 1 && query.sort[0]?.name === 'createdAt'
  const sources =
    byHolder && !walking
      ? waysOf(entity, scope, { live: live.join(' and '), inOrder }, bind, 'holders').map((way) => ({
          ...way,
          id: 'r.id',
        }))
      : [sourceOf(entity, driver, bind)]
  return { driver, order, sources, fixed, reached: walking ? scopeSql(entity, scope, 'r', bind, 'holders') : null }
}

/** What belongs to few is found by whose it is, but for what a quick find found, and an order that only a side table has. */
function isByHolder(query: ListQuery, scope: Scope, driving: Driver | null): scope is Reach {
  if (typeof scope === 'string' || query.q !== null) return false
  return driving ? !(driving.side === 'custom' && driving.own) : orderOf(query) === null
}

function sourceOf(entity: Entity, driver: Driver | null, bind: Binder): Source {
  if (!driver) return { values: null, rows: `${entity.table} r`, id: 'r.id', several: false }
  const [values, rows] = [driverRows(driver, bind), `(${driverJoin(entity, driver, bind)}) r`]
  return { values, rows, id: driver.side ? 'r.side_id' : 'r.id', several: driver.several }
}

/** The filter that picks the rows from a narrow table, or value by value from an index in the list's order. */
export interface Driver {
  readonly filter: Filter
  readonly side: 'tags' | 'links' | 'custom' | null
  readonly field: Field | null
  readonly several: boolean
  readonly ranged: boolean
  /** The list runs by the filtered member itself. */
  readonly own: boolean
}

/** The filter that drives a list; null: its order does. */
export function driverOf(entity: Entity, query: ListQuery): Driver | null {
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

/** An order by a custom field that stands at a place of the sort. */
export const orderBy = (custom: CustomField, place: number): CustomOrder => ({ custom, parameter: `sort${place}Field` })

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

/** The parameters of scope, filters and sort: what is looked up in a side table is always a list. */
export function listValues(entity: Entity, { filters, sort }: ListQuery, scope: Scope): Record<string, unknown> {
  return Object.fromEntries([
    ['holders', scopeUsers(scope)],
    ['userCount', typeof scope === 'string' ? 0 : scope.userIds.length],
    ...sort.flatMap(({ custom }, place) => (custom ? [[orderBy(custom, place).parameter, custom.id]] : [])),
    ...filters.flatMap((filter) => {
      const side = filter.custom !== undefined || entity.all[filter.name]?.side !== undefined
      const value = side && (filter.operator === 'eq' || filter.operator === 'ne') ? [filter.value] : filter.value
      const name = parameterOf(filter)
      return [[name, value], ...(filter.custom ? [[`${name}Field`, filter.custom.id]] : [])]
    }),
  ])
}
