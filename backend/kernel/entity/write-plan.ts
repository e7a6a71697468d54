import type { Binder } from '../db/plan.ts'
import type { Scope } from '../rights.ts'
import { isMergedSql, resolvedSql } from './aliases.ts'
import { columnOf, type Entity } from './define.ts'
import { documentSql, usedKeysSql } from './document.ts'
import { changedChanges, createdChanges, eventSql } from './event-sql.ts'
import type { Field } from './fields.ts'
import { missingSql, type ReferenceShape, readers } from './references.ts'
import type { Registry } from './registry.ts'
import { scopeSql, takenSql } from './scope.ts'
import { leavingSql, type SideChange, sideSql, tagsHeldSql } from './sides.ts'

/** What a create is made of. */
export interface CreateShape extends ReferenceShape {
  /** Members that are given; the others take their defaults. */
  readonly names: readonly string[]
  /** Whether an idempotency key commits with it. */
  readonly withKey: boolean
}

/**
 * The one statement of a create: references checked, row, event, side tables and idempotency key; all or nothing.
 * `known` and `gate` answer a repeated or concurrent request under the same key without doing anything.
 */
export function createSql(entity: Entity, shape: CreateShape, registry: Registry, bind: Binder): string {
  const { withKey } = shape
  const ctes = [
    ...(withKey ? keyGate(bind) : []),
    `verdict as materialized (select ${missingOf(entity, shape, registry, bind)} as missing)`,
    `new as (${insertSql(entity, shape.names, registry, bind, bind)} from verdict v${withKey ? ', gate g where g.free and' : ' where'} v.missing = '{}' returning *)`,
    `after as materialized (select r.*, ${documentSql(entity, 'jsonb')} as doc from new r)`,
    `event as (${createdSql(entity, bind, bind)})`,
    ...sideSql(entity, shape.names, 'enter', registry, bind),
    ...(withKey ? [keepKey(bind)] : []),
  ]
  const known = withKey
    ? 'g.free, k.status as known_status, k.body as known_body, k.headers as known_headers, k.same as known_same,'
    : ''
  const from = withKey ? 'gate g left join known k on true cross join verdict v' : 'verdict v'
  return `with ${ctes.join(',\n')}
    select ${known} v.missing, n.doc::text as doc, n.id, n.version, e.name as event
    from ${from} left join after n on true left join event e on true`
}

/**
 * The one statement of many creates of one shape: the same as {@link createSql} with what is of each record read from the
 * rows of one parameter. A record whose references do not resolve is left out and told; the others are made.
 */
export function createManySql(entity: Entity, shape: CreateShape, registry: Registry, bind: Binder): string {
  const columns = new Map<string, string>()
  const ofEach =
    (alias: string): Binder =>
    (parameter, type) => {
      if (ofAll.has(parameter) || parameter.startsWith(readers)) return bind(parameter, type)
      columns.set(parameter, type)
      return `${alias}."p_${parameter}"`
    }
  const before = ofEach('i')
  const after = ofEach('n')
  const ctes = [
    `verdict as materialized (select i.*, ${missingOf(entity, shape, registry, before)} as missing from input i)`,
    `new as (${insertSql(entity, shape.names, registry, before, bind)} from verdict i where i.missing = '{}' returning *)`,
    `after as materialized (select r.*, ${documentSql(entity, 'jsonb')} as doc, i.* from new r join input i on i."p_id" = r.id)`,
    `event as (${createdSql(entity, after, bind)})`,
    ...sideSql(entity, shape.names, 'enter', registry, after),
  ]
  const rows = [...columns].map(([parameter, type]) => `"p_${parameter}" ${type}`).join(', ')
  return `with input as materialized (select * from jsonb_to_recordset(${bind('rows', 'jsonb')}) as i(${rows})),
    ${ctes.join(',\n')}
    select v."p_id" as id, v.missing, n.doc::text as doc, n.version, e.name as event
    from verdict v left join after n on n.id = v."p_id" left join event e on e.record_id = n.id`
}

/** Parameters that all records of a statement share. */
const ofAll: ReadonlySet<string> = new Set([
  'tenant',
  'actor',
  'owner',
  'actorJson',
  'lane',
  'requestId',
  'operationId',
  'ip',
  'userAgent',
  'data',
])

const missingOf = (entity: Entity, shape: CreateShape, registry: Registry, bind: Binder): string =>
  missingSql(entity, shape.names, registry, bind, { ...shape, withOld: false, derived: [] })

function insertSql(entity: Entity, names: readonly string[], registry: Registry, ofEach: Binder, bind: Binder): string {
  const columns: string[] = ['tenant_id', 'id', 'created_at', 'updated_at', 'created_by_id']
  const values: string[] = [bind('tenant', 'uuid'), ofEach('id', 'uuid'), 'now()', 'now()', bind('actor', 'uuid')]
  for (const [name, field] of Object.entries(entity.all)) {
    const value = names.includes(name)
      ? resolvedSql(field, ofEach(name, field.type), registry, bind)
      : absentSql(field, bind)
    if (field.readOnly || value === null) continue
    columns.push(columnOf(name, field))
    values.push(value)
  }
  return `insert into ${entity.table} (${columns.join(', ')}) select ${values.join(', ')}`
}

const createdSql = (entity: Entity, ofEach: Binder, bind: Binder): string =>
  eventSql(entity, `'${entity.type}.created'`, createdChanges, 'after n', { id: ofEach('eventId', 'uuid') }, bind)

/** What a change is made of. */
export interface ChangeShape extends ReferenceShape {
  /** Members that are set from parameters. */
  readonly names: readonly string[]
  /** Columns that are set to SQL (`deleted_at`: `now()`). */
  readonly fixed?: Readonly<Record<string, string>>
  /** SQL over the row before, `o`: which rows are looked for. */
  readonly among: 'live' | 'deleted'
  /** The event's verb; absent: the entity's verbs decide, else `updated`. */
  readonly verb?: string
  readonly sides: SideChange
  readonly scope: Scope
  /** Which records the caller sees: of others he is not told that they are there. */
  readonly sight: Scope
  /** Members whose objects are merged instead of replaced. */
  readonly merged: readonly string[]
  readonly withReadOnly: boolean
  readonly withVersion: boolean
  /** Whether members that were left out take what a create would give them: the tenant's currency. An owner stays. */
  readonly whole: boolean
  /** Those of them that the caller may not write: they stay what they are. */
  readonly kept: readonly string[]
  /** Whether records of the noun have held these values already: their references are not looked at again. */
  readonly known?: true
  /** Whether parts that stand in tables of their own changed with it: that is a change of the record by itself. */
  readonly withParts: boolean
  /** Those of the members that we work out ourselves. */
  readonly derived: readonly string[]
}

/**
 * The one statement of a change. The old row is read `for update`, else the difference is against a stale one; a change
 * that changes nothing touches neither row nor log; a verdict that is not clean changes nothing and is told.
 */
export function changeSql(entity: Entity, shape: ChangeShape, registry: Registry, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  const sets = setsOf(entity, shape, registry, bind)
  const pairs = Object.entries(sets)
  const differs = pairs.map(([column, value]) => `o.${column} is distinct from ${value}`).join(' or ')
  const doc = documentSql(entity, 'jsonb')
  const ctes = [
    `old as materialized (select r.*, ${doc} as doc from ${entity.table} r
       where r.tenant_id = ${tenant} and r.id = ${bind('id', 'uuid')}
         and ${shape.among === 'live' ? 'r.deleted_at is null' : `r.deleted_at is not null and not ${isMergedSql(entity, 'r', bind)}`}
         ${tagsHeldSql(entity, shape.names, bind)}
       for update of r)`,
    `verdict as materialized (select
       ${shape.withVersion ? `o.version = any(${bind('versions', 'integer[]')})` : 'true'} as fresh,
       ${scopeSql(entity, shape.sight, 'o', bind, 'seers')} as seen,
       ${scopeSql(entity, shape.scope, 'o', bind, 'holders')} as allowed,
       ${takenSql(entity, shape.scope, sets, bind, 'holders')} as taken,
       ${alteredSql(entity, shape, bind)} as altered,
       ${shape.known ? `'{}'::text[]` : missingSql(entity, shape.names, registry, bind, { ...shape, withOld: true })} as missing
       from old o)`,
    `new as (update ${entity.table} r
       set ${[...pairs.map(([column, value]) => `${column} = ${value}`), ...stampsOf(entity, bind)].join(', ')}
       from old o, verdict v
       where r.tenant_id = ${tenant} and r.id = o.id and v.fresh and v.seen and v.allowed and v.taken = '{}' and v.altered = '{}' and v.missing = '{}' and (${shape.withParts ? 'true' : differs || 'false'})
       returning r.*)`,
    `after as materialized (select r.*, ${doc} as doc${leavingSql(entity, shape.names, shape.sides, bind)} from new r)`,
    `event as (${eventSql(entity, nameSql(entity, shape.verb), shape.withParts ? `${changedChanges} || ${bind('parts', 'jsonb')}` : changedChanges, 'after n, old o', { id: bind('eventId', 'uuid') }, bind)})`,
    ...sideSql(entity, shape.names, shape.sides, registry, bind),
  ]
  return `with ${ctes.join(',\n')}
    select v.fresh, v.seen, v.allowed, v.taken, v.altered, v.missing, coalesce(n.doc, o.doc)::text as doc,
           coalesce(n.version, o.version) as version, n.id is not null as changed, e.name as event
    from old o cross join verdict v left join after n on true left join event e on true`
}

/** What each change leaves on the row. */
export const stampsOf = (entity: Entity, bind: Binder): string[] => [
  'version = o.version + 1',
  'updated_at = greatest(now(), o.updated_at)',
  ...(entity.changedBy ? [`${entity.changedBy} = ${bind('actor', 'uuid')}`] : []),
]

/** What is done to many records at once. */
export interface MassShape {
  /** Names the plan: the same name, the same SQL. */
  readonly name: string
  /** Columns that are set to SQL over the row before, `o`. */
  set(bind: Binder): Readonly<Record<string, string>>
  /** Members whose side tables follow. */
  readonly sides: readonly string[]
}

/** One statement that changes many live records alike; each has its version and its event, as if it were changed by itself. */
export function changeManySql(entity: Entity, shape: MassShape, registry: Registry, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  const pairs = Object.entries(shape.set(bind))
  const doc = documentSql(entity, 'jsonb')
  const ctes = [
    `want as materialized (select * from unnest(${bind('ids', 'uuid[]')}, ${bind('eventIds', 'uuid[]')}) as w(id, event_id))`,
    // In one order, so that two of these wait for each other instead of for ever.
    `old as materialized (select r.*, ${doc} as doc from ${entity.table} r
       where r.tenant_id = ${tenant} and r.id in (select w.id from want w) and r.deleted_at is null order by r.id for update of r)`,
    `new as (update ${entity.table} r
       set ${[...pairs.map(([column, value]) => `${column} = ${value}`), ...stampsOf(entity, bind)].join(', ')}
       from old o where r.tenant_id = ${tenant} and r.id = o.id and (${pairs.map(([column, value]) => `o.${column} is distinct from ${value}`).join(' or ')})
       returning r.*)`,
    `after as materialized (select r.*, ${doc} as doc${leavingSql(entity, shape.sides, 'follow', bind)} from new r)`,
    `event as (${eventSql(entity, nameSql(entity, undefined), changedChanges, 'after n join old o on o.id = n.id join want w on w.id = n.id', { id: 'w.event_id' }, bind)})`,
    ...sideSql(entity, shape.sides, 'follow', registry, bind),
  ]
  return `with ${ctes.join(',\n')} select e.record_id as id, e.version, e.name as event from event e`
}

function setsOf(entity: Entity, shape: ChangeShape, registry: Registry, bind: Binder): Record<string, string> {
  const sets: Record<string, string> = {}
  for (const name of shape.names) {
    const field = entity.all[name]
    if (!field) continue
    const column = columnOf(name, field)
    const sent = resolvedSql(field, bind(name, field.type), registry, bind)
    // What is shown may come from elsewhere (a deal's probability from its stage): sent back as shown, it stays there.
    const stays = field.expression ? `${sent} is not distinct from ${field.expression}` : heldWhile(name, field, shape)
    const value = stays ? `case when ${stays} then o.${column} else ${sent} end` : sent
    // A whole that is given says nothing of fields that are out of use.
    const whole = field.kind === 'customFields' ? `(o.${column} - ${usedKeysSql(entity)}) || ${value}` : value
    sets[column] = shape.merged.includes(name)
      ? `nullif(jsonb_strip_nulls(coalesce(o.${column}, '{}') || ${value}), ${field.default === undefined ? `'{}'::jsonb` : 'null::jsonb'})`
      : whole
  }
  for (const [name, field] of Object.entries(shape.whole ? entity.all : {})) {
    const stays = field.absent === 'actor' || shape.names.includes(name) || shape.kept.includes(name)
    const value = stays ? null : absentSql(field, bind)
    if (value !== null) sets[columnOf(name, field)] = value
  }
  return { ...sets, ...shape.fixed }
}

/** What stands in a column when the request left the member out; null: the column's own default. */
function absentSql(field: Field, bind: Binder): string | null {
  if (field.absent === 'actor') return bind('owner', 'uuid')
  if (field.absent === 'currency') return `(select t.currency from tenants t where t.id = ${bind('tenant', 'uuid')})`
  return null
}

/** SQL for `array[...]` of the read-only members that were sent with another value than the record's. */
function alteredSql(entity: Entity, shape: ChangeShape, bind: Binder): string {
  const sent = shape.withReadOnly
    ? `coalesce((select array_agg(sent.key) from jsonb_each(${bind('readOnly', 'jsonb')}) sent where sent.value is distinct from o.doc -> sent.key), '{}')`
    : `'{}'::text[]`
  const held = shape.names.flatMap((name) => {
    const field = entity.all[name]
    const condition = field && heldWhile(name, field, shape)
    if (!condition) return []
    const value = bind(name, field.type)
    // What a PUT leaves out is no wish to clear it.
    const differs = `${value} is distinct from o.${columnOf(name, field)}${shape.whole ? ` and ${value} is not null` : ''}`
    return [
      `case when ${bind('actorJson', 'jsonb')} ->> 'type' <> 'import' and ${differs} and ${condition} then '${name}' end`,
    ]
  })
  return held.length === 0 ? sent : `${sent} || array_remove(array[${held.join(', ')}]::text[], null)`
}

/** SQL for whether a member stays what it is, whatever was sent. */
const heldWhile = (name: string, field: Field, shape: ChangeShape): string | undefined =>
  shape.derived.includes(name) ? undefined : field.derivedWhile

/** SQL for the name of the event of a change, from the row before and after. */
export function nameSql(entity: Entity, verb: string | undefined): string {
  if (verb) return `'${entity.type}.${verb}'`
  const cases = (entity.verbs ?? []).map(({ verb, when }) => `when ${when} then '${entity.type}.${verb}'`)
  return cases.length === 0 ? `'${entity.type}.updated'` : `case ${cases.join(' ')} else '${entity.type}.updated' end`
}

const keyPredicate = (bind: Binder): string =>
  `i.tenant_id = ${bind('tenant', 'uuid')} and i.actor_id = ${bind('actor', 'uuid')} and i.method = ${bind('keyMethod', 'text')}
   and i.path = ${bind('keyPath', 'text')} and i.key = ${bind('key', 'text')}`

/** An answer that is kept is given again; a request in flight under the key holds its lock until it commits. */
function keyGate(bind: Binder): string[] {
  return [
    `known as materialized (select i.status, i.body, i.headers, i.body_hash = ${bind('keyHash', 'bytea')} as same
       from idempotency_keys i where ${keyPredicate(bind)})`,
    `gate as materialized (select case when exists (select 1 from known) then false
       else pg_try_advisory_xact_lock(hashtextextended(${bind('keyLock', 'text')}, 0)) end as free)`,
  ]
}

const keepKey = (bind: Binder): string =>
  `kept as (insert into idempotency_keys (tenant_id, actor_id, method, path, key, body_hash, status, headers, body)
     select ${bind('tenant', 'uuid')}, ${bind('actor', 'uuid')}, ${bind('keyMethod', 'text')}, ${bind('keyPath', 'text')}, ${bind('key', 'text')},
       ${bind('keyHash', 'bytea')}, 201, jsonb_build_object('Location', ${bind('location', 'text')}, 'ETag', '"1"'), n.doc::text from after n)`
