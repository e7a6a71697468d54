import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { newId } from '../../kernel/ids.ts'
import type { Turn } from '../../kernel/jobs/job.ts'
import { moveLastContact } from './last-contact.ts'

/** Interactions that were looked for at once. */
const atOnce = 100

/** Moves `lastContactedAt` of those who took part in what was ahead and is no longer, as who planned it. */
export async function knowLastContact(
  { db, repository }: { db: Database; repository(type: string): Repository },
  { dryRun, signal }: Turn,
): Promise<{ interactions: number }> {
  if (dryRun) return { interactions: await countRipe(db.worker) }
  for (let interactions = 0; ; ) {
    const ripe = await findRipe(db.worker)
    for (const { tenantId, id, plannedBy } of ripe) {
      signal.throwIfAborted()
      await db.transaction(ctxOf(tenantId, plannedBy), async (tx) => {
        // In the order in which a change of the interaction takes them: its own rows, then the contacts.
        const met = await tx.query<{ id: string }>(sql`
          update interaction_contacts set ahead = false
          where tenant_id = ${tenantId} and interaction_id = ${id} and ahead and occurred_at <= now() returning contact_id as id`)
        const contactIds = met.map((contact) => contact.id)
        await moveLastContact(tx, repository('contact'), contactIds, { interactionId: id })
      })
    }
    interactions += ripe.length
    if (ripe.length < atOnce) return { interactions }
  }
}

interface Ripe {
  readonly tenantId: string
  readonly id: string
  readonly plannedBy: { readonly id: string; readonly name: string } | null
}

const findRipe = (db: WorkerTx): Promise<Ripe[]> =>
  db.query<Ripe & Record<string, unknown>>(sql`
    select k.tenant_id as "tenantId", k.interaction_id as id,
      (select json_build_object('id', u.id, 'name', u.name) from interactions i
       join users u on u.tenant_id = i.tenant_id and u.id = i.created_by_id
       where i.tenant_id = k.tenant_id and i.id = k.interaction_id) as "plannedBy"
    from interaction_contacts k where k.ahead and k.occurred_at <= now()
    group by k.tenant_id, k.interaction_id order by min(k.occurred_at) limit ${atOnce}`)

async function countRipe(db: WorkerTx): Promise<number> {
  const [row] = await db.query<{ ripe: number }>(sql`
    select count(distinct interaction_id)::integer as ripe from interaction_contacts where ahead and occurred_at <= now()`)
  return row?.ripe ?? 0
}

function ctxOf(tenantId: string, plannedBy: Ripe['plannedBy']): Ctx {
  return {
    tenantId,
    actor: plannedBy ? { ...plannedBy, type: 'user' } : { id: null, type: 'system', name: 'ClientForge' },
    rights: { userId: plannedBy?.id ?? '', role: 'system', scope: () => 'all' },
    sessionId: null,
    requestId: newId(),
    operationId: newId(),
    ip: null,
    userAgent: null,
    lane: 'bulk',
  }
}
