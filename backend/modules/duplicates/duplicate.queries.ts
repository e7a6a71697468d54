import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Binder, fill, planCache } from '../../kernel/db/plan.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { mostSharing, type Reason } from './evidence.ts'
import type { KeyKind, MatchKey } from './keys.ts'

/** Where a page of pairs ended. */
export interface Place {
  readonly score: number
  readonly aId: string
  readonly bId: string
}

/** A pair as it is kept; a record that is not live, or not for the caller, is null. */
export interface KeptPair extends Place {
  readonly reasons: readonly Reason[]
  readonly dismissed: boolean
  readonly a: Values | null
  readonly b: Values | null
}

/** The next pairs of a noun in the order of their score, the surest first, whether the caller may see them or not. */
export function readPairs(
  tx: Tx,
  noun: Mergeable,
  after: Place | null,
  minScore: number,
  limit: number,
): Promise<KeptPair[]> {
  const beyond = (bind: Binder): string =>
    after === null
      ? ''
      : `and (p.score, p.a_id, p.b_id) < (${bind('score', 'smallint')}, ${bind('aId', 'uuid')}, ${bind('bId', 'uuid')})`
  return read(
    tx,
    noun,
    `after ${after !== null}`,
    { ...after, minScore, limit },
    (bind) => `
    select p.* from duplicate_pairs p
    where p.tenant_id = ${bind('tenant', 'uuid')} and p.record_type = '${noun.type}' and p.score >= ${bind('minScore', 'smallint')}
      ${beyond(bind)}
    order by p.score desc, p.a_id desc, p.b_id desc limit ${bind('limit', 'integer')}`,
  )
}

/** All pairs that a record is in; keys that many share make none, so that these are few. */
export function readPairsOf(tx: Tx, noun: Mergeable, id: string): Promise<KeptPair[]> {
  const of = (column: string) => (bind: Binder) =>
    `
    select p.* from duplicate_pairs p
    where p.tenant_id = ${bind('tenant', 'uuid')} and p.record_type = '${noun.type}' and p.${column} = ${bind('id', 'uuid')}`
  return read(tx, noun, 'of one', { id }, (bind) => `${of('a_id')(bind)} union all ${of('b_id')(bind)}`)
}

const plans = planCache(50)

function read(
  tx: Tx,
  noun: Mergeable,
  shape: string,
  parameters: Values,
  pairs: (bind: Binder) => string,
): Promise<KeptPair[]> {
  const scope = tx.ctx.rights.scope(noun.type, 'read')
  const plan = plans(`${noun.type} ${scopeShape(scope)} ${shape}`, (bind) => {
    const tenant = bind('tenant', 'uuid')
    const record = (id: string) => `(
      select ${documentSql(noun, 'json')} from ${noun.table} r
      where r.tenant_id = ${tenant} and r.id = ${id} and r.deleted_at is null and ${scopeSql(noun, scope, 'r', bind, 'holders')})`
    return `
      with pairs as materialized (${pairs(bind)})
      select p.score, p.a_id as "aId", p.b_id as "bId", p.reasons, ${record('p.a_id')} as a, ${record('p.b_id')} as b,
        exists (select from dismissed_pairs d
          where d.tenant_id = ${tenant} and d.record_type = '${noun.type}' and d.a_id = p.a_id and d.b_id = p.b_id) as dismissed
      from pairs p order by p.score desc, p.a_id desc, p.b_id desc`
  })
  return tx.query<KeptPair>(fill(plan, { ...parameters, tenant: tx.ctx.tenantId, holders: scopeUsers(scope) }))
}

/** A record that has keys in common with one that is asked about. */
export interface Candidate {
  readonly record: Values
  readonly shared: readonly { readonly kind: KeyKind; readonly key: string }[]
}

/** The records that share one of these keys, as far as the caller may read them and few enough have it. */
export function findCandidates(tx: Tx, noun: Mergeable, keys: readonly MatchKey[]): Promise<Candidate[]> {
  const scope = tx.ctx.rights.scope(noun.type, 'read')
  const plan = plans(`${noun.type} ${scopeShape(scope)} candidates`, (bind) => {
    const tenant = bind('tenant', 'uuid')
    return `
      with shared as materialized (
        select o.id, jsonb_agg(jsonb_build_object('kind', w.kind, 'key', w.key)) as keys
        from jsonb_to_recordset(${bind('keys', 'jsonb')}) as w(kind text, key text)
        cross join lateral (
          select array_agg(k.record_id) as ids from (
            select k.record_id from match_keys k
            where k.tenant_id = ${tenant} and k.record_type = '${noun.type}' and k.kind = w.kind and k.key = w.key
            limit ${mostSharing + 1}) k) now
        cross join lateral unnest(now.ids) o(id)
        where cardinality(now.ids) <= ${mostSharing} group by o.id)
      select ${documentSql(noun, 'json')} as record, s.keys as shared from shared s join ${noun.table} r
        on r.tenant_id = ${tenant} and r.id = s.id and r.deleted_at is null and ${scopeSql(noun, scope, 'r', bind, 'holders')}`
  })
  const parameters = { tenant: tx.ctx.tenantId, keys: JSON.stringify(keys), holders: scopeUsers(scope) }
  return tx.query<Candidate>(fill(plan, parameters))
}

/** Keeps that two records are not the same; false when that was known. */
export async function keepDismissal(tx: Tx, noun: Mergeable, aId: string, bId: string): Promise<boolean> {
  const { tenantId, actor } = tx.ctx
  const rows = await tx.query(sql`
    insert into dismissed_pairs (tenant_id, record_type, a_id, b_id, dismissed_by_id)
    values (${tenantId}, ${noun.type}, ${aId}, ${bId}, ${actor.id}) on conflict do nothing returning a_id`)
  return rows.length > 0
}

/** Forgets that two records are not the same; false when nobody had said so. */
export async function dropDismissal(tx: Tx, noun: Mergeable, aId: string, bId: string): Promise<boolean> {
  const rows = await tx.query(sql`
    delete from dismissed_pairs
    where tenant_id = ${tx.ctx.tenantId} and record_type = ${noun.type} and a_id = ${aId} and b_id = ${bId} returning a_id`)
  return rows.length > 0
}
