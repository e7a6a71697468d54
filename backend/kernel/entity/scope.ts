import { raw } from 'sql-template-tag'
import type { Binder } from '../db/plan.ts'
import { sharesSql } from '../events/append.ts'
import { type Belonging, granteesOf, type Reach, type Scope, type Share } from '../rights.ts'
import { columnOf, type Entity } from './define.ts'

/** SQL over an alias: whether a scope reaches the row. `all` costs nothing; otherwise `holders` is a parameter. */
export function scopeSql(entity: Entity, scope: Scope, alias: string, bind: Binder, parameter: string): string {
  if (scope === 'all') return 'true'
  if (scope === 'none') return 'false'
  const users = bind(parameter, 'uuid[]')
  const { single, several } = holderColumns(entity, alias)
  const held = [
    ...single.map((column) => `${column} = any(${users})`),
    ...several.map((column) => `${column} && ${users}`),
  ]
  const unheld = `(${[unheldSql(entity, alias), `${alias}.created_by_id = any(${users})`].join(' and ')})`
  const shared = countsShares(entity, scope)
    ? [
        `exists (select 1 from record_shares s where ${shareSql(entity, scope, bind)} and s.record_id = ${alias}.id
         and s.grantee_id = any(${users}))`,
      ]
    : []
  return `(${[...held, unheld, ...shared].join(' or ')})`
}

/**
 * SQL for `array[...]` of the members that say whose the record of alias `o` is and are set to something else, where only a
 * share lets the caller write it: else he would make it his own, to delete and to share further.
 */
export function takenSql(
  entity: Entity,
  scope: Scope,
  sets: Readonly<Record<string, string>>,
  bind: Binder,
  parameter: string,
): string {
  const taken = (entity.heldBy ?? []).flatMap((name) => {
    const field = entity.all[name]
    const column = field && columnOf(name, field)
    if (column === undefined || sets[column] === undefined) return []
    return [`case when o.${column} is distinct from ${sets[column]} then '${name}' end`]
  })
  if (taken.length === 0 || typeof scope === 'string' || !countsShares(entity, scope)) return `'{}'::text[]`
  const own = scopeSql(entity, { ...scope, shares: undefined }, 'o', bind, parameter)
  return `case when ${own} then '{}'::text[] else array_remove(array[${taken.join(', ')}]::text[], null) end`
}

/** A way in which records belong to somebody: no two ways give the same record. */
interface Way {
  /** SQL for the users, one a row `value`, of whom each has records of his own; null: `rows` are those of all. */
  readonly values: string | null
  /** SQL for the records, as alias `r`, of one of the users, `v.value`. */
  readonly rows: string
  /** Whether several users may have the same record. */
  readonly several: boolean
}

/**
 * The ways by which a list finds what a scope reaches without walking through what others have: each by its index. `live`
 * are conditions of these indexes. Where the list's order is not theirs, its rows are fenced: the planner would rather walk
 * through the whole tenant in that order, in the hope of soon meeting enough.
 */
export function waysOf(
  entity: Entity,
  scope: Reach,
  { live, inOrder }: { live: string; inOrder: boolean },
  bind: Binder,
  parameter: string,
): Way[] {
  const tenant = bind('tenant', 'uuid')
  const grantees = bind(parameter, 'uuid[]')
  const { single, several } = holderColumns(entity, 'r')
  // The users stand first among the grantees; one is named without a join.
  const isOne = scope.userIds.length === 1
  const user = isOne ? `(${grantees})[1]` : 'v.value'
  const values = isOne ? null : `select unnest((${grantees})[1:${bind('userCount', 'integer')}]) as value`
  const fence = inOrder ? '' : ' offset 0'
  const of = (condition: string) =>
    `(select r.* from ${entity.table} r where r.tenant_id = ${tenant} and ${condition} and ${live}${fence}) r`
  const linked = (entity.heldBy ?? []).filter((name) => entity.all[name]?.many)
  const own = { ...scope, shares: undefined } as const
  return [
    ...single.map((column) => ({ values, rows: of(`${column} = ${user}`), several: false })),
    ...(several.length === 0 ? [] : linked).map((member) => ({
      values,
      // Fenced, so that the planner goes from the narrow table to the records.
      rows: `(select r.* from record_links s cross join lateral (select r.* from ${entity.table} r
         where r.tenant_id = ${tenant} and r.id = s.record_id offset 0) r
         where s.tenant_id = ${tenant} and s.record_type = '${entity.type}' and s.member = '${member}' and s.target_id = ${user}) r`,
      several: !isOne,
    })),
    { values, rows: of(`${unheldSql(entity, 'r')} and r.created_by_id = ${user}`), several: false },
    ...(countsShares(entity, scope)
      ? [
          {
            values: null,
            // Of a record that nobody owns the condition is null, not false.
            rows: `(select r.* from ${entity.table} r where r.tenant_id = ${tenant} and r.id = any(array(
               select s.record_id from record_shares s where ${shareSql(entity, scope, bind)} and s.grantee_id = any(${grantees})))
               and ${scopeSql(entity, own, 'r', bind, parameter)} is not true offset 0) r`,
            several: false,
          },
        ]
      : []),
  ]
}

const countsShares = (entity: Entity, scope: Reach): boolean => entity.shareable === true && scope.shares !== undefined

const shareSql = (entity: Entity, { shares }: Reach, bind: Binder): string =>
  `s.tenant_id = ${bind('tenant', 'uuid')} and s.record_type = '${entity.type}'${shares === 'write' ? " and s.access = 'write'" : ''}`

function holderColumns(entity: Entity, alias: string): { single: string[]; several: string[] } {
  const columns = { single: [] as string[], several: [] as string[] }
  for (const name of entity.heldBy ?? []) {
    const field = entity.all[name]
    if (field) columns[field.many ? 'several' : 'single'].push(`${alias}.${columnOf(name, field)}`)
  }
  return columns
}

function unheldSql(entity: Entity, alias: string): string {
  const { single, several } = holderColumns(entity, alias)
  const none = [...single.map((column) => `${column} is null`), ...several.map((column) => `${column} = '{}'`)]
  return none.length === 0 ? 'true' : none.join(' and ')
}

/** What is a part of a plan's shape: the kind of scope, not its ids. */
export const scopeShape = (scope: Scope): string =>
  typeof scope === 'string' ? scope : scope.shares === undefined ? 'users' : `users ${scope.shares}`

/** The parameter that goes with {@link scopeSql}, the users before the teams. */
export const scopeUsers = (scope: Scope): readonly string[] => (typeof scope === 'string' ? [] : granteesOf(scope))

/** Whose a record is, from the record as the API shows it and with whom it is shared. */
export function belongingOf(
  entity: Entity,
  record: Readonly<Record<string, unknown>>,
  shares: readonly Share[] = [],
): Belonging {
  const ownerIds = (entity.heldBy ?? []).flatMap((member) => record[member]).filter((id) => typeof id === 'string')
  return { ownerIds, createdById: typeof record.createdById === 'string' ? record.createdById : null, shares }
}

/** SQL for those with whom the record of an alias is shared, as the log keeps them; null for nobody. */
export const sharesOf = (entity: Entity, alias: string): string =>
  entity.shareable
    ? sharesSql(raw(`${alias}.tenant_id`), raw(`'${entity.type}'`), raw(`${alias}.id`)).sql
    : 'null::jsonb'
