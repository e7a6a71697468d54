import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { notFound, type Problem, rule } from '../../kernel/errors.ts'

/** Moves a deal to a stage, of any pipeline, and to a place among its cards. Entering a won or lost stage ends it. */
export function move(
  tx: Tx,
  deals: Repository,
  id: string,
  to: { stageId: string; position?: number | undefined },
  expected: Expected,
): Promise<Changed> {
  const { stageId, position } = to
  return deals.update(tx, id, { stageId, ...(position === undefined ? {} : { position }) }, { expected })
}

/** Wins a deal: into the first won stage of its pipeline. */
export const win = (tx: Tx, deals: Repository, id: string, expected: Expected): Promise<Changed> =>
  enter(tx, deals, id, 'won', {}, expected)

/** Loses a deal, and says why: into the first lost stage of its pipeline. */
export const lose = (
  tx: Tx,
  deals: Repository,
  id: string,
  reason: string | undefined,
  expected: Expected,
): Promise<Changed> => enter(tx, deals, id, 'lost', reason === undefined ? {} : { lostReason: reason }, expected)

/** Takes up a deal again that was won or lost: into the first open stage of its pipeline. */
export const reopen = (tx: Tx, deals: Repository, id: string, expected: Expected): Promise<Changed> =>
  enter(tx, deals, id, 'open', {}, expected)

type Kind = 'open' | 'won' | 'lost'

async function enter(
  tx: Tx,
  deals: Repository,
  id: string,
  kind: Kind,
  values: Values,
  expected: Expected,
): Promise<Changed> {
  const stageId = await stageTo(tx, id, kind)
  const entered = await deals.update(tx, id, { ...values, stageId }, { expected })
  // Another was faster between the look and the change: one wins a deal, the others find it won.
  if (!entered.changed) throw already(kind)
  return entered
}

const already = (kind: Kind): Problem => rule('INVALID_TRANSITION', `The deal is ${kind} already`)

async function stageTo(tx: Tx, id: string, kind: Kind): Promise<string> {
  const [deal] = await tx.query<{ status: string; stageId: string | null }>(sql`
    select d.status, (select s.id from stages s where s.tenant_id = d.tenant_id and s.pipeline_id = d.pipeline_id and s.kind = ${kind}
                      order by s.position, s.id limit 1) as "stageId"
    from deals d where d.tenant_id = ${tx.ctx.tenantId} and d.id = ${id} and d.deleted_at is null`)
  if (!deal) throw notFound()
  if (deal.status === kind) throw already(kind)
  if (!deal.stageId) throw rule('NO_SUCH_STAGE', `The pipeline of this deal has no ${kind} stage`)
  return deal.stageId
}
