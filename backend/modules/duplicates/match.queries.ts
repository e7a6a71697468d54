import sql, { type Sql } from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import { fillAnew, planCache } from '../../kernel/db/plan.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { type Evidence, mostSharing } from './evidence.ts'
import { type KeyKind, keyMembers, type MatchKey } from './keys.ts'
import { type Located, recordKey } from './located.ts'

/** A live record with the members that its keys are made of. */
export interface Matched extends Located {
  readonly record: Values
}

const plans = planCache(20)

/** Records as they are now, by their place; what is deleted is missing. */
export async function readMatched(
  tx: WorkerTx,
  noun: Mergeable,
  records: readonly Located[],
): Promise<ReadonlyMap<string, Matched>> {
  const plan = plans(
    noun.type,
    (bind) => `
      select r.tenant_id as "tenantId", r.id, ${documentSql(noun, 'json', keyMembers(noun.sameness))} as record
      from unnest(${bind('tenants', 'uuid[]')}, ${bind('ids', 'uuid[]')}) w(tenant_id, id)
      join ${noun.table} r on r.tenant_id = w.tenant_id and r.id = w.id and r.deleted_at is null`,
  )
  const rows = await tx.query<Matched>(fillAnew(plan, placesOf(records)))
  return new Map(rows.map((row) => [recordKey(row), row]))
}

/**
 * Makes these the keys of these records. Gives the other records that are concerned too: those of a key that has become
 * evidence by this, or has become too common to be any.
 */
export async function writeKeys(
  tx: WorkerTx,
  noun: Mergeable,
  records: readonly Located[],
  keys: readonly (MatchKey & Located)[],
): Promise<Located[]> {
  const { tenants, ids } = placesOf(records)
  const changed = await tx.query(sql`
    with records as materialized (select * from unnest(${tenants}::uuid[], ${ids}::uuid[]) r(tenant_id, record_id)),
    wanted as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as w("tenantId" uuid, id uuid, kind text, key text)
    ), gone as (
      delete from match_keys k using (
        select h.* from records r cross join lateral (${heldKeys(noun)}) h
        where not exists (
          select from wanted w where w."tenantId" = h.tenant_id and w.id = h.record_id and w.kind = h.kind and w.key = h.key)) g
      where k.tenant_id = g.tenant_id and k.record_type = ${noun.type} and k.kind = g.kind and k.key = g.key and k.record_id = g.record_id
      returning k.tenant_id, k.kind, k.key
    ), come as (
      insert into match_keys (tenant_id, record_type, kind, key, record_id)
      select w."tenantId", ${noun.type}, w.kind, w.key, w.id from wanted w order by 1, 3, 4, 5
      on conflict do nothing returning tenant_id, kind, key
    )
    select c.tenant_id as "tenantId", c.kind, c.key, sum(c.more)::integer as more
    from (select tenant_id, kind, key, 1 as more from come union all select tenant_id, kind, key, -1 from gone) c
    group by 1, 2, 3 having sum(c.more) <> 0`)
  if (changed.length === 0) return []
  return tx.query<Located>(sql`
    select c."tenantId", m.record_id as id
    from jsonb_to_recordset(${JSON.stringify(changed)}::jsonb) as c("tenantId" uuid, kind text, key text, more integer)
    cross join lateral (
      select array_agg(k.record_id) as ids from (
        select k.record_id from match_keys k
        where k.tenant_id = c."tenantId" and k.record_type = ${noun.type} and k.kind = c.kind and k.key = c.key
        limit ${mostSharing + 1} + greatest(c.more, 0)) k) now
    cross join lateral unnest(now.ids) m(record_id)
    where (cardinality(now.ids) > ${mostSharing}) <> (cardinality(now.ids) - c.more > ${mostSharing})`)
}

/**
 * The keys of the record `r`. Looked up for each one (`offset 0`): while a table grows by an import its statistics are old,
 * and a join would read the whole of it for each batch.
 */
const heldKeys = (noun: Mergeable): Sql => sql`
  select k.tenant_id, k.record_id, k.kind, k.key from match_keys k
  where k.tenant_id = r.tenant_id and k.record_id = r.record_id and k.record_type = ${noun.type} offset 0`

/** Records that have a key in common. */
export interface Group {
  readonly tenantId: string
  readonly kind: KeyKind
  readonly key: string
  readonly ids: readonly string[]
}

/** The keys of these records that others have too, but few enough, each with all who have it. */
export function readGroups(tx: WorkerTx, noun: Mergeable, records: readonly Located[]): Promise<Group[]> {
  const { tenants, ids } = placesOf(records)
  return tx.query(sql`
    with mine as materialized (
      select distinct h.tenant_id, h.kind, h.key
      from unnest(${tenants}::uuid[], ${ids}::uuid[]) r(tenant_id, record_id)
      cross join lateral (${heldKeys(noun)}) h
    )
    select m.tenant_id as "tenantId", m.kind, m.key, now.ids
    from mine m cross join lateral (
      select array_agg(k.record_id) as ids from (
        select k.record_id from match_keys k
        where k.tenant_id = m.tenant_id and k.record_type = ${noun.type} and k.kind = m.kind and k.key = m.key
        limit ${mostSharing + 1}) k) now
    where cardinality(now.ids) between 2 and ${mostSharing}`)
}

/** A pair, the lower id first. */
export interface Pair extends Evidence {
  readonly tenantId: string
  readonly aId: string
  readonly bId: string
}

/** Makes these the pairs that these records are in. */
export async function writePairs(
  tx: WorkerTx,
  noun: Mergeable,
  records: readonly Located[],
  pairs: readonly Pair[],
): Promise<void> {
  const { tenants, ids } = placesOf(records)
  await tx.query(sql`
    with records as materialized (select * from unnest(${tenants}::uuid[], ${ids}::uuid[]) r(tenant_id, record_id)),
    wanted as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb)
        as w("tenantId" uuid, "aId" uuid, "bId" uuid, score smallint, reasons jsonb)
    ), of_a as (
      delete from duplicate_pairs p using records r
      where p.tenant_id = r.tenant_id and p.record_type = ${noun.type} and p.a_id = r.record_id
        and not exists (select from wanted w where w."tenantId" = p.tenant_id and w."aId" = p.a_id and w."bId" = p.b_id)
    ), of_b as (
      delete from duplicate_pairs p using records r
      where p.tenant_id = r.tenant_id and p.record_type = ${noun.type} and p.b_id = r.record_id
        and not exists (select from wanted w where w."tenantId" = p.tenant_id and w."aId" = p.a_id and w."bId" = p.b_id)
    )
    insert into duplicate_pairs as p (tenant_id, record_type, a_id, b_id, score, reasons)
    select w."tenantId", ${noun.type}, w."aId", w."bId", w.score, w.reasons from wanted w order by 1, 3, 4
    on conflict (tenant_id, record_type, a_id, b_id) do update set score = excluded.score, reasons = excluded.reasons
    where (p.score, p.reasons) is distinct from (excluded.score, excluded.reasons)`)
}

const placesOf = (records: readonly Located[]): { tenants: string[]; ids: string[] } => ({
  tenants: records.map(({ tenantId }) => tenantId),
  ids: records.map(({ id }) => id),
})
