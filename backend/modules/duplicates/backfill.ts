import sql, { raw } from 'sql-template-tag'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import type { Turn } from '../../kernel/jobs/job.ts'
import type { Located } from './located.ts'
import { match } from './matcher.ts'

/** Makes the keys of records that were written before anybody looked for duplicates; each noun is gone through once. */
export async function backfill(
  { worker, workerTransaction }: Database,
  nouns: readonly Mergeable[],
  { dryRun, signal }: Pick<Turn, 'dryRun' | 'signal'>,
): Promise<{ records: number }> {
  if (dryRun) return { records: await countAhead(worker, nouns) }
  let records = 0
  for (const noun of nouns) {
    await worker.query(sql`insert into match_progress (record_type) values (${noun.type}) on conflict do nothing`)
    for (let more = true; more && !signal.aborted; ) {
      const count = await workerTransaction(async (tx) => {
        const [progress] = await tx.query<{ tenant: string; id: string }>(sql`
          select after_tenant as tenant, after_id as id from match_progress
          where record_type = ${noun.type} and finished_at is null for update`)
        if (!progress) return 0
        const next = await tx.query<Located>(sql`
          select r.tenant_id as "tenantId", r.id from ${raw(noun.table)} r
          where (r.tenant_id, r.id) > (${progress.tenant}, ${progress.id}) order by r.tenant_id, r.id limit ${atOnce}`)
        await match(tx, noun, next)
        const last = next.at(-1) ?? { tenantId: progress.tenant, id: progress.id }
        await tx.query(sql`
          update match_progress set after_tenant = ${last.tenantId}, after_id = ${last.id},
            finished_at = case when ${next.length < atOnce} then now() end where record_type = ${noun.type}`)
        return next.length
      })
      records += count
      more = count === atOnce
    }
  }
  return { records }
}

async function countAhead(db: WorkerTx, nouns: readonly Mergeable[]): Promise<number> {
  let records = 0
  for (const { type, table } of nouns) {
    const [row] = await db.query(sql`
      select count(*)::integer as ahead from ${raw(table)} r
      where not exists (
        select from match_progress p where p.record_type = ${type}
          and (p.finished_at is not null or (r.tenant_id, r.id) <= (p.after_tenant, p.after_id)))`)
    records += row?.ahead ?? 0
  }
  return records
}

const atOnce = 200
