import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { printed } from './import.queries.ts'
import type { ImportRow } from './import.ts'
import type { Outcome } from './outcome.ts'

/** Tells the user of an import how far it is, in the transaction of `tx`; people wait for it, so it goes the live lane. */
export async function tellProgress(tx: Tx, id: string, name: string): Promise<void> {
  const [row] = await tx.query(sql`
    select ${printed}::jsonb - 'options' - 'preview' - 'mapping' - 'reading' as record, i.created_by_id as "userId"
    from imports i where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${id}`)
  if (!row) return
  const live = { ...tx, ctx: { ...tx.ctx, lane: 'live' as const } }
  await appendEvents(live, [
    { name: `import.${name}`, type: 'import', recordId: id, record: row.record, data: { userId: row.userId } },
  ])
}

/** Keeps what a chunk came to, with how far the import is now. */
export async function keepOutcome(
  tx: Tx,
  before: ImportRow,
  outcome: Outcome,
  now: { position: number; phase: 'rows' | 'links'; processed: number; made: Readonly<Record<string, number>> },
): Promise<void> {
  const { created, updated, skipped, failed } = outcome
  await keepEffects(tx, before, outcome)
  await keepLinks(tx, before, outcome)
  await keepErrors(tx, before, outcome)
  await tx.query(sql`
    update imports i set position = ${now.position}, phase = ${now.phase}, effects = i.effects + ${outcome.effects.length},
      processed = i.processed + ${now.processed}, created = i.created + ${created}, updated = i.updated + ${updated},
      skipped = i.skipped + ${skipped}, failed = i.failed + ${failed}, updated_at = now(),
      made = (select coalesce(jsonb_object_agg(m.key, m.count), '{}') from (
        select key, sum(value::integer) as count from (select * from jsonb_each_text(i.made) union all
          select * from jsonb_each_text(${JSON.stringify(now.made)}::jsonb)) x group by key) m)
    where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${before.id}`)
}

/** A record that the import touched before keeps what it was at the very beginning. */
async function keepEffects(tx: Tx, { id, effects }: ImportRow, outcome: Outcome): Promise<void> {
  if (outcome.effects.length === 0) return
  // One statement may touch a row once: of several changes of a record the first says what was, the last what is.
  const rows = new Map<string, { place: number; type: string; version: number; before: unknown }>()
  for (const [index, { type, id: recordId, version, before }] of outcome.effects.entries()) {
    const first = rows.get(recordId)
    const kept = first ? (first.before === null ? null : { ...before, ...Object(first.before) }) : before
    rows.set(recordId, { place: effects + index, type, version, before: kept })
  }
  const list = [...rows].map(([recordId, row]) => ({ recordId, ...row }))
  await tx.query(sql`
    insert into import_effects as e (tenant_id, import_id, record_id, place, record_type, version, before)
    select ${tx.ctx.tenantId}, ${id}, r."recordId", r.place, r.type, r.version, nullif(r.before, 'null')
    from jsonb_to_recordset(${JSON.stringify(list)}::jsonb)
      as r("recordId" uuid, place integer, type text, version integer, before jsonb)
    on conflict (tenant_id, import_id, record_id) do update
      set version = excluded.version, before = case when e.before is null then null else excluded.before || e.before end`)
}

async function keepLinks(tx: Tx, { id }: ImportRow, { links }: Outcome): Promise<void> {
  if (links.length === 0) return
  await tx.query(sql`
    insert into import_links (tenant_id, import_id, line, member, record_id, by, value, column_name)
    select ${tx.ctx.tenantId}, ${id}, l.line, l.member, l."recordId", l.by, l.value, l."column"
    from jsonb_to_recordset(${JSON.stringify(links)}::jsonb)
      as l(line integer, member text, "recordId" uuid, by text, value text, "column" text)`)
}

async function keepErrors(tx: Tx, { id }: ImportRow, { errors }: Outcome): Promise<void> {
  if (errors.length === 0) return
  const plain = (text: string) => text.replaceAll('\0', '\uFFFD').toWellFormed()
  const rows = errors.map(({ line, column, value, reason }, place) => ({
    line,
    place,
    column: plain(column),
    value: plain(value),
    reason: plain(reason),
  }))
  await tx.query(sql`
    insert into import_errors (tenant_id, import_id, line, place, column_name, value, reason)
    select ${tx.ctx.tenantId}, ${id}, e.line, coalesce(k.last, 0) + row_number() over (partition by e.line order by e.place), e."column", e.value, e.reason
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(line integer, place integer, "column" text, value text, reason text)
    left join lateral (select max(k.place) as last from import_errors k
      where k.tenant_id = ${tx.ctx.tenantId} and k.import_id = ${id} and k.line = e.line) k on true`)
}
