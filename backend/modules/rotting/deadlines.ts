import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'

const atOnce = 1_000

/**
 * The subscription that follows a pipeline whose days to rot have changed. It writes what the stages say now, in batches
 * outside of the cursor's transaction, so that a repeat is harmless. It is no change of a deal: neither version nor log.
 */
export function deadlineSubscription({ db }: { db: Database }): Subscription<void> {
  return {
    name: 'rotting',
    patterns: ['pipeline.updated'],
    prepare: async (batch) => {
      const pipelines = new Map(batch.filter(turnsStages).map((event) => [event.recordId, event]))
      for (const event of pipelines.values()) await setDeadlines(db, event)
    },
  }
}

const turnsStages = ({ changes }: DomainEvent): boolean => changes.some(({ field }) => field === 'stages')

async function setDeadlines(db: Database, { tenantId, recordId }: DomainEvent): Promise<void> {
  for (let after = firstId; ; ) {
    const [page] = await db.worker.query<{ last: string | null; count: number }>(sql`
      with page as (
        select d.id, d.stage_entered_at + make_interval(hours => 24 * s.rotting_days) as rots_at
        from deals d join stages s on s.tenant_id = d.tenant_id and s.id = d.stage_id
        where d.tenant_id = ${tenantId} and d.pipeline_id = ${recordId} and d.status = 'open' and d.id > ${after}
          and d.rots_at is distinct from d.stage_entered_at + make_interval(hours => 24 * s.rotting_days)
        order by d.id limit ${atOnce} for no key update of d
      ), changed as (
        update deals d set rots_at = p.rots_at from page p where d.tenant_id = ${tenantId} and d.id = p.id
      )
      select max(id::text) as last, count(*)::integer as count from page`)
    if (!page?.last || page.count < atOnce) return
    after = page.last
  }
}

const firstId = '00000000-0000-0000-0000-000000000000'
