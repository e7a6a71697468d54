import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { printed } from './import.queries.ts'
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

/** Where an import stands. */
export interface Place {
  readonly phase: 'rows' | 'links'
  readonly position: number
  /** How many effects it has had. */
  readonly effects: number
}

/** Keeps what a step came to, with where the import is now; false when it does not stand where the step began. */
export async function keepOutcome(
  tx: Tx,
  id: string,
  outcome: Outcome,
  { from, to, processed, made }: { from: Place; to: Place; processed: number; made: Readonly<Record<string, number>> },
): Promise<boolean> {
  const { created, updated, skipped, failed } = outcome
  await keepLinks(tx, id, outcome)
  await keepErrors(tx, id, outcome)
  // A record that the import touched before keeps what it was at the very beginning.
  const [row] = await tx.query(sql`
    with effects as (
      insert into import_effects as e (tenant_id, import_id, record_id, place, record_type, version, before)
      select ${tx.ctx.tenantId}, ${id}, r."recordId", r.place, r.type, r.version, nullif(r.before, 'null')
      from jsonb_to_recordset(${JSON.stringify(effectRows(outcome, from.effects))}::jsonb)
        as r("recordId" uuid, place integer, type text, version integer, before jsonb)
      on conflict (tenant_id, import_id, record_id) do update
        set version = excluded.version, before = case when e.before is null then null else excluded.before || e.before end
    )
    update imports i set position = ${to.position}, effects = ${to.effects}, processed = i.processed + ${processed},
      created = i.created + ${created}, updated = i.updated + ${updated}, skipped = i.skipped + ${skipped},
      failed = i.failed + ${failed}, updated_at = now(),
      made = (select coalesce(jsonb_object_agg(m.key, m.count), '{}') from (
        select key, sum(value::integer) as count from (select * from jsonb_each_text(i.made) union all
          select * from jsonb_each_text(${JSON.stringify(made)}::jsonb)) x group by key) m)
    where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${id} and i.status = 'running' and i.phase = ${from.phase}
      and i.position = ${from.position}
    returning i.id`)
  return row !== undefined
}

/** One statement may touch a row once: of several changes of a record the first says what was, the last what is. */
function effectRows({ effects }: Outcome, first: number): object[] {
  const rows = new Map<string, { place: number; type: string; version: number; before: unknown }>()
  for (const [index, { type, id, version, before }] of effects.entries()) {
    const known = rows.get(id)
    const kept = known ? (known.before === null ? null : { ...before, ...Object(known.before) }) : before
    rows.set(id, { place: first + index, type, version, before: kept })
  }
  return [...rows].map(([recordId, row]) => ({ recordId, ...row }))
}

async function keepLinks(tx: Tx, id: string, { links }: Outcome): Promise<void> {
  if (links.length === 0) return
  await tx.query(sql`
    insert into import_links (tenant_id, import_id, line, member, record_id, by, value, column_name)
    select ${tx.ctx.tenantId}, ${id}, l.line, l.member, l."recordId", l.by, l.value, l."column"
    from jsonb_to_recordset(${JSON.stringify(links)}::jsonb)
      as l(line integer, member text, "recordId" uuid, by text, value text, "column" text)`)
}

async function keepErrors(tx: Tx, id: string, { errors }: Outcome): Promise<void> {
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
