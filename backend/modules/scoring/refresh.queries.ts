import sql, { raw } from 'sql-template-tag'
import { inForce, type Scored } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import type { WorkerTx } from '../../kernel/db/database.ts'
import { firstId } from './scores.ts'

/** The records of a tenant whose scores are to be worked out again, from a place on. */
export interface Refresh {
  readonly tenantId: string
  readonly resource: Scored
  readonly after: string
}

/** What has rules that time alone makes match, or no longer, and was not finished today; what waits longest comes first. */
export const readRefreshes = (db: WorkerTx): Promise<Refresh[]> =>
  db.query<Refresh & Record<string, unknown>>(sql`
    select t.tenant_id as "tenantId", t.resource, coalesce(r.after_id, ${firstId}::uuid) as after
    from (
      select distinct tenant_id, resource from scoring_rules
      where ${raw(inForce)}
        and (operator in ('withinDays', 'olderThanDays') or field like 'interactions.last%')) t
    left join score_refreshes r on r.tenant_id = t.tenant_id and r.resource = t.resource
    where r.finished_at is null or r.finished_at < date_trunc('day', now(), 'UTC')
    order by r.finished_at nulls first, 1, 2`)

/** Keeps until where it was done; null when to the end. */
export async function keepRefreshed(
  db: WorkerTx,
  { tenantId, resource, after }: { tenantId: string; resource: Scored; after: string | null },
): Promise<void> {
  await db.query(sql`
    insert into score_refreshes as r (tenant_id, resource, after_id, finished_at)
    values (${tenantId}, ${resource}, ${after ?? firstId}, case when ${after === null} then now() end)
    on conflict (tenant_id, resource) do update
      set after_id = excluded.after_id, finished_at = coalesce(excluded.finished_at, r.finished_at)`)
}
