import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Repository } from '../../kernel/entity/repository.ts'
import { notFound, rule } from '../../kernel/errors.ts'

/** Moves a deal to a stage, of any pipeline, and to a place among its cards. Entering a won or lost stage ends it. */
export function move(
  tx: Tx,
  deals: Repository,
  id: string,
  stageId: string,
  position: number | undefined,
): Promise<Changed> {
  return deals.update(tx, id, { stageId, ...(position === undefined ? {} : { position }) })
}

/** Wins a deal: into the first won stage of its pipeline. */
export async function win(tx: Tx, deals: Repository, id: string): Promise<Changed> {
  return deals.update(tx, id, { stageId: await stageTo(tx, id, 'won') })
}

/** Loses a deal, and says why: into the first lost stage of its pipeline. */
export async function lose(tx: Tx, deals: Repository, id: string, reason: string | undefined): Promise<Changed> {
  return deals.update(tx, id, {
    stageId: await stageTo(tx, id, 'lost'),
    ...(reason === undefined ? {} : { lostReason: reason }),
  })
}

/** Takes up a deal again that was won or lost: into the first open stage of its pipeline. */
export async function reopen(tx: Tx, deals: Repository, id: string): Promise<Changed> {
  return deals.update(tx, id, { stageId: await stageTo(tx, id, 'open') })
}

async function stageTo(tx: Tx, id: string, kind: 'open' | 'won' | 'lost'): Promise<string> {
  const [deal] = await tx.query<{ status: string; stageId: string | null }>(sql`
    select d.status, (select s.id from stages s where s.tenant_id = d.tenant_id and s.pipeline_id = d.pipeline_id and s.kind = ${kind}
                      order by s.position, s.id limit 1) as "stageId"
    from deals d where d.tenant_id = ${tx.ctx.tenantId} and d.id = ${id} and d.deleted_at is null`)
  if (!deal) throw notFound()
  if (deal.status === kind) throw rule('INVALID_TRANSITION', `The deal is ${kind} already`)
  if (!deal.stageId) throw rule('NO_SUCH_STAGE', `The pipeline of this deal has no ${kind} stage`)
  return deal.stageId
}
