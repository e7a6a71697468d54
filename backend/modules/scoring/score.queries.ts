import sql, { join, raw, type Sql } from 'sql-template-tag'
import { inForce, type Scored } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import type { Tx, WorkerTx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Rule } from './score.ts'

/** A record with the counts that rules ask for, under their names. */
export type Counted = Readonly<Record<string, unknown>> & { readonly id: string }

/** The rules that apply to a resource, the oldest first. */
export const readRules = (tx: Tx, resource: Scored): Promise<Rule[]> =>
  tx.query<Rule & Record<string, unknown>>(sql`
    select id, name, field, operator, value, points from scoring_rules
    where tenant_id = ${tx.ctx.tenantId} and resource = ${resource} and ${raw(inForce)}
    order by created_at, id`)

/** Whose of these tenants has rules. */
export async function readRuled(db: WorkerTx, tenantIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db.query<{ tenantId: string }>(sql`
    select distinct tenant_id as "tenantId" from scoring_rules
    where tenant_id = any(${tenantIds}::uuid[]) and ${raw(inForce)}`)
  return new Set(rows.map(({ tenantId }) => tenantId))
}

/** Holds the records until the transaction ends, so that who works out a score sees what the one before him has written. */
export async function lockRecords(tx: Tx, entity: Entity, ids: readonly string[]): Promise<void> {
  await tx.query(sql`
    select 1 from ${raw(entity.table)} where tenant_id = ${tx.ctx.tenantId} and id = any(${ids}::uuid[]) and deleted_at is null
    order by id for update`)
}

/** Records with what the rules ask for. */
export async function readRecords(
  tx: Tx,
  entity: Entity,
  type: Scored,
  rules: readonly Rule[],
  which: Which,
): Promise<Counted[]> {
  const asked = [...new Set(rules.map(({ field }) => field))].flatMap((name) => {
    const count = counted[type][name]
    return count ? [sql`${name}::text, ${count}`] : []
  })
  const facts = asked.length > 0 ? sql`|| jsonb_build_object(${join(asked, ', ')})` : sql``
  const among =
    'ids' in which
      ? sql`r.id = any(${which.ids}::uuid[])`
      : sql`r.id > ${which.after}::uuid order by r.id limit ${which.limit}::integer`
  const rows = await tx.query<{ record: Counted }>(sql`
    select ${raw(documentSql(entity, 'jsonb'))} ${facts} as record from ${raw(entity.table)} r
    where r.tenant_id = ${tx.ctx.tenantId} and r.deleted_at is null and ${among}`)
  return rows.map(({ record }) => record)
}

/** Some records, or those that come after one. */
export type Which = { readonly ids: readonly string[] } | { readonly after: string; readonly limit: number }

const lastDays = (time: Sql, days: number | null): Sql =>
  days === null
    ? sql`${time} <= now()`
    : sql`${time} <= now() and ${time} > now() - make_interval(days => ${days}::integer)`

/** Those in which the contact took part. */
const interactionsOfContact = (days: number | null): Sql => sql`(
  select count(*) from interaction_contacts k
  where k.tenant_id = r.tenant_id and k.contact_id = r.id and ${lastDays(sql`k.occurred_at`, days)})`

/** Those in which the lead took part, and those that are about it. */
const interactionsOfLead = (days: number | null): Sql => sql`(
  select count(distinct i.id) from record_links l join interactions i on i.tenant_id = l.tenant_id and i.id = l.record_id
  where l.tenant_id = r.tenant_id and l.record_type = 'interaction' and l.member in ('participants', 'related') and l.target_id = r.id
    and i.deleted_at is null and ${lastDays(sql`i.occurred_at`, days)})`

const deals = (status: 'open' | 'won'): Sql => sql`(
  select count(*) from record_links l join deals d on d.tenant_id = l.tenant_id and d.id = l.record_id
  where l.tenant_id = r.tenant_id and l.record_type = 'deal' and l.member = 'contactIds' and l.target_id = r.id
    and d.status = ${status} and d.deleted_at is null)`

const counted: Readonly<Record<Scored, Readonly<Record<string, Sql>>>> = {
  contact: {
    'interactions.count': interactionsOfContact(null),
    'interactions.last30Days': interactionsOfContact(30),
    'interactions.last90Days': interactionsOfContact(90),
    'deals.open': deals('open'),
    'deals.won': deals('won'),
  },
  lead: {
    'interactions.count': interactionsOfLead(null),
    'interactions.last30Days': interactionsOfLead(30),
    'interactions.last90Days': interactionsOfLead(90),
  },
}
