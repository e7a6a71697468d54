import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import { columnOf, type Mergeable } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import type { Hanging } from './hanging.ts'
import type { Referrers } from './references.ts'
import type { CarriedShare } from './shares.ts'
import type { Take } from './values.ts'

/** A record that is locked, with what the caller may do with it. */
export interface Locked {
  readonly id: string
  readonly version: number
  readonly live: boolean
  readonly record: Values
  readonly readable: boolean
  readonly updatable: boolean
  readonly deletable: boolean
}

const plans = planCache(50)

/** Waits for whoever is about to refer to these records, keeps others from it, and locks the records; in one order. */
export async function lockRecords(tx: Tx, noun: Mergeable, ids: readonly string[]): Promise<Map<string, Locked>> {
  const { rights, tenantId } = tx.ctx
  const actions = ['read', 'update', 'delete'] as const
  const scopes = actions.map((action) => rights.scope(noun.type, action))
  const plan = plans(`${noun.type} ${scopes.map(scopeShape).join(' ')}`, (bind) => {
    const [readable, updatable, deletable] = scopes.map((scope, index) =>
      scopeSql(noun, scope, 'r', bind, `holders${index}`),
    )
    return `
      select r.id, r.version, r.deleted_at is null as live, ${documentSql(noun, 'jsonb')} as record,
        ${readable} as readable, ${updatable} as updatable, ${deletable} as deletable
      from ${noun.table} r where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')})
      order by r.id for update of r`
  })
  const holders = Object.fromEntries(scopes.map((scope, index) => [`holders${index}`, scopeUsers(scope)]))
  await tx.query(sql`select lock_merged(${tenantId}, ${ids}::uuid[])`)
  const rows = await tx.query<Locked>(fill(plan, { tenant: tenantId, ids, ...holders }))
  return new Map(rows.map((row) => [row.id, row]))
}

/** All that a merge needs to be taken back. */
export interface Payload {
  /** The survivor's members before it, and those that it changed, as it left them. */
  readonly before: Values
  readonly after: Values
  readonly take: Take
  readonly moved: readonly Referrers[]
  readonly hanging: readonly Hanging[]
  /** What it gave the survivor of shares; merges from before had none. */
  readonly shares?: readonly CarriedShare[]
  /** Ids of records that had been merged before into those that were merged: `[id, into]`. */
  readonly aliases: readonly (readonly [id: string, into: string])[]
}

/** A merge that was made. */
export interface Merge {
  readonly id: string
  readonly fromIds: readonly string[]
  readonly payload: Payload
}

/** Makes the ids of records those of the survivor, also of what had been merged into them; gives the latter. */
export async function addAliases(
  tx: Tx,
  type: string,
  merged: readonly { id: string; externalId: unknown }[],
  survivorId: string,
): Promise<Payload['aliases']> {
  const { tenantId } = tx.ctx
  const ids = merged.map(({ id }) => id)
  const moved = await tx.query<{ id: string; target: string }>(sql`
    with old as materialized (
      select a.id, a.target_id as target from record_aliases a
      where a.tenant_id = ${tenantId} and a.record_type = ${type} and a.target_id = any(${ids}::uuid[])
    ), moved as (
      update record_aliases a set target_id = ${survivorId} from old o
      where a.tenant_id = ${tenantId} and a.record_type = ${type} and a.id = o.id
    ) select id, target from old`)
  await tx.query(sql`
    insert into record_aliases (tenant_id, record_type, id, target_id, external_id)
    select ${tenantId}, ${type}, m.id, ${survivorId}, m."externalId"
    from jsonb_to_recordset(${JSON.stringify(merged)}::jsonb) as m(id uuid, "externalId" text)`)
  return moved.map(({ id, target }) => [id, target])
}

/** Lets ids be those of records of their own again, and of what had been merged into them before. */
export async function dropAliases(
  tx: Tx,
  type: string,
  ids: readonly string[],
  aliases: Payload['aliases'],
): Promise<void> {
  const { tenantId } = tx.ctx
  const theirs = aliases.filter(([, into]) => ids.includes(into))
  await tx.query(sql`
    with theirs as (
      update record_aliases a set target_id = w.target
      from unnest(${theirs.map(([id]) => id)}::uuid[], ${theirs.map(([, into]) => into)}::uuid[]) w(id, target)
      where a.tenant_id = ${tenantId} and a.record_type = ${type} and a.id = w.id
    )
    delete from record_aliases a where a.tenant_id = ${tenantId} and a.record_type = ${type} and a.id = any(${ids}::uuid[])`)
}

/** Which of these ids stand for a record that they were merged into. */
export async function aliasesAmong(tx: Tx, type: string, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx.query<{ id: string; target: string }>(sql`
    select id, target_id as target from record_aliases
    where tenant_id = ${tx.ctx.tenantId} and record_type = ${type} and id = any(${ids}::uuid[])`)
  return new Map(rows.map(({ id, target }) => [id, target]))
}

/** Keeps what a merge did. */
export async function keepMerge(
  tx: Tx,
  noun: Mergeable,
  survivorId: string,
  { id, fromIds, payload }: Merge,
): Promise<void> {
  const { tenantId, actor } = tx.ctx
  await tx.query(sql`
    insert into merges (tenant_id, id, record_type, survivor_id, from_ids, payload, merged_by_id, merged_at)
    values (${tenantId}, ${id}, ${noun.type}, ${survivorId}, ${fromIds}::uuid[], ${JSON.stringify(payload)}::jsonb, ${actor.id}, clock_timestamp())`)
}

/** The merges into a record that still hold, the last one first: of these records, or the last. */
export function findMerges(
  tx: Tx,
  noun: Mergeable,
  survivorId: string,
  ids: readonly string[] | null,
): Promise<Merge[]> {
  return tx.query<Merge>(sql`
    select m.id, m.from_ids as "fromIds", m.payload from merges m
    where m.tenant_id = ${tx.ctx.tenantId} and m.record_type = ${noun.type} and m.survivor_id = ${survivorId} and m.from_ids <> '{}'
      and (${ids}::uuid[] is null or m.from_ids && ${ids}::uuid[])
    order by m.merged_at desc, m.id desc limit ${ids === null ? 1 : null}`)
}

/** Keeps what still holds of a merge when some of its records were given back. */
export async function keepRest(tx: Tx, { id, fromIds, payload }: Merge): Promise<void> {
  await tx.query(sql`
    update merges set from_ids = ${fromIds}::uuid[], payload = ${JSON.stringify(payload)}::jsonb
    where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
}

/** Clears a member of a record that is merged, and so shown to nobody. */
export async function clearMember(tx: Tx, noun: Mergeable, member: string, id: string): Promise<void> {
  const plan = plans(`${noun.type} clear ${member}`, (bind) => {
    const field = noun.all[member]
    if (!field) throw new Error(`${noun.type} has no member ${member}`)
    return `
      update ${noun.table} r set ${columnOf(member, field)} = null
      where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is not null`
  })
  await tx.query(fill(plan, { tenant: tx.ctx.tenantId, id }))
}
