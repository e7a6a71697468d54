import sql, { raw } from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Turn } from '../../kernel/jobs/job.ts'
import { match } from './matcher.ts'
import type { Located, Mergeable } from './mergeable.ts'

/** Makes the keys of records that were written before anybody looked for duplicates; each noun is gone through once. */
export async function backfill(
  { worker, workerTransaction }: Database,
  nouns: readonly Mergeable[],
  { dryRun, signal }: Pick<Turn, 'dryRun' | 'signal'>,
): Promise<{ records: number }> {
  if (dryRun) return { records: 0 }
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

const atOnce = 200
