import type { Binder } from '../db/plan.ts'
import type { FieldRules, Scope } from '../rights.ts'
import { type CustomOrder, orderType, orderValueSql, recordsInOrder, recordsWithout } from './custom-order.ts'
import { columnOf, type Entity, isNeverNull } from './define.ts'
import { documentSql } from './document.ts'
import { followingMerges } from './list-conditions.ts'
import { type Driver, driverOf, findingOf, type Manner, orderBy, type Source } from './list-finding.ts'
import { fieldOf, type ListQuery } from './list-query.ts'
import type { Registry } from './registry.ts'

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
 * index `(tenant, key, id)`: nulls come last in both directions, and no row comparison meets one. A walk ends after some
 * pages: what it gives is the page where it is `full` by then.
 */
export function listSql(
  entity: Entity,
  query: ListQuery & { readonly rules?: FieldRules | undefined; readonly manner?: Manner },
  scope: Scope,
  cursor: CursorPart,
  registry: Registry,
  plainly: Binder,
): string {
  const bind = followingMerges(entity, query, registry, unseen(plainly))
  const { driver, order, sources, fixed, reached } = findingOf(entity, query, scope, query.manner ?? 'ways', bind)
  const walk = reached === null ? null : { reached, steps: stepsOf(scope) * query.limit }
  // Of each of several users a whole page is read, most of it in vain: no more of it than its place in the order.
  const narrow = sources.length > 1 && sources.some(({ values }) => values !== null)
  const keys = query.sort.map((_sort, place) => keyOf(entity, query, place, driver, order !== null, bind))
  const [first] = keys
  if (!first) throw new Error('a list has no order')
  const rows = query.limit + 1
  const branches = order
    ? orderedBranches(entity, order, first, fixed, cursor, rows, bind)
    : sources.flatMap((source) =>
        keys.length === 1
          ? branchesOf(first, fixed, { source, walk, narrow }, cursor, rows, bind)
          : [branch(keys, [...fixed, ...(cursor === 'none' ? [] : [afterSql(keys, bind)])], { source, narrow }, rows)],
      )
  const direction = (descending: boolean) => (descending ? 'desc' : 'asc')
  const byKeys = [
    ...(keys.length === 1 ? ['part'] : []),
    ...keys.map((key, index) => `k${index} ${direction(key.descending)} nulls last`),
    `id ${direction(keys.at(-1)?.descending ?? false)}`,
  ].join(', ')
  const last = (sql: string) => `max(${sql}) filter (where r.place = ${query.limit})`
  const placed = `select b.*, row_number() over (order by ${byKeys}) as place from (${branches.join(' union all ')}) b order by ${byKeys} limit ${rows}`
  const whole = `select r.*, m.place, ${keys.map((_key, index) => `m.k${index}`).join(', ')} from (${placed}) m
      cross join lateral (select r.* from ${entity.table} r where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = m.id offset 0) r`
  return `with page as (${narrow ? whole : placed})
    select coalesce(json_agg(${documentSql(entity, 'json', query.fields ?? undefined, query.rules)} order by r.place) filter (where r.place <= ${query.limit}), '[]')::text as data,
      count(*) > ${query.limit} as more, ${keys.map((_key, index) => `${last(`r.k${index}::text`)} as last${index}`).join(', ')},
      ${last('r.id::text')} as last_id${walk ? `, count(*) filter (where r.part = ${cursor === 'null' ? 1 : 0}) > ${query.limit} as full` : ''} from page r`
}

/**
 * Keeps from the planner which tenant it is and whose records they are. It would believe a plan for a big tenant or for few
 * users so much better than the one for all that it would plan each time, which takes as long as the list; and of one who
 * has much it would scan the table.
 */
const unseen =
  (bind: Binder): Binder =>
  (parameter, type) =>
    ['tenant', 'holders', 'userCount'].includes(parameter)
      ? `(select ${bind(parameter, type)})::${type}`
      : bind(parameter, type)

/** How many there are, counted to 10,001. */
export function countSql(entity: Entity, query: ListQuery, scope: Scope, registry: Registry, plainly: Binder): string {
  const bind = followingMerges(entity, query, registry, unseen(plainly))
  const { sources, fixed } = findingOf(entity, query, scope, 'ways', bind)
  const branches = sources.map(({ values, rows, several }) => {
    const from = values === null ? rows : `(${values}) v cross join lateral ${rows}`
    return `(select ${several ? 'distinct r.id' : 'r.id'} from ${from} where ${fixed.join(' and ')} limit 10001)`
  })
  return `select count(*)::integer as total from (select 1 from (${branches.join(' union all ')}) b limit 10001) c`
}

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
  from: From,
  cursor: CursorPart,
  rows: number,
  bind: Binder,
): string[] {
  const compare = key.descending ? '<' : '>'
  const { id } = from.source
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
    ...(cursor === 'null' ? [] : [branch([key], withValue, from, rows, 0)]),
    ...(key.nullable ? [branch([key], withoutValue, from, rows, 1)] : []),
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

/**
 * How many pages of rows a walk looks at. Walking past a row costs a fraction of what it costs to find it by one of several
 * users, who are asked one by one; by one user it is found as well.
 */
const stepsOf = (scope: Scope): number => (typeof scope !== 'string' && scope.userIds.length > 1 ? 10 : 3)

/** What a branch takes its rows from, and for a walk how far it goes and SQL for what it is looking for. */
interface From {
  readonly source: Source
  /** Whether it gives no more of a row than its id and place in the order. */
  readonly narrow: boolean
  readonly walk?: { readonly reached: string; readonly steps: number } | null
}

function branch(
  keys: readonly Key[],
  where: readonly string[],
  { source, walk, narrow }: From,
  limit: number,
  part?: number,
): string {
  const { values, rows, id, several } = source
  const direction = (key: Key | undefined) => (key?.descending ? 'desc' : 'asc')
  const nulls = part === undefined ? ' nulls last' : ''
  const order = `${keys.map((key) => `${key.sql} ${direction(key)}${nulls}`).join(', ')}, ${id} ${direction(keys.at(-1))}`
  const columns = `${keys.map((key, index) => `${key.sql} as k${index}`).join(', ')}${part === undefined ? '' : `, ${part} as part`}`
  const rowsOf = walk
    ? `select * from (select r.*, ${columns}, ${walk.reached} as reached from ${rows} where ${where.join(' and ')} order by ${order} limit ${walk.steps}) w
        where w.reached order by k0 ${direction(keys[0])}, ${id.replace('r.', 'w.')} ${direction(keys[0])} limit ${limit}`
    : `select ${narrow ? 'r.id' : 'r.*'}, ${columns} from ${rows} where ${where.join(' and ')} order by ${order} limit ${limit}`
  if (values === null) return `(${rowsOf})`
  const each = `(${values}) v cross join lateral (${rowsOf}) p`
  if (!several) return `(select p.* from ${each})`
  const places = keys.map((_key, index) => `k${index}`)
  const inOrder = keys.map((key, index) => `k${index} ${direction(key)}${nulls}`)
  return `(select distinct on (${places.join(', ')}, id) p.* from ${each}
    order by ${inOrder.join(', ')}, id ${direction(keys.at(-1))} limit ${limit})`
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
