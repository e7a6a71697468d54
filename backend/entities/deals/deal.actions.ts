import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { refuseUnwritable } from '../../kernel/entity/field-rules.ts'
import { readForChange } from '../../kernel/entity/read-for-change.ts'
import type { Changed, Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { type Problem, rule } from '../../kernel/errors.ts'

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
  refuseUnwritable(tx.ctx.rights, deals.entity, ['stageId', ...Object.keys(values)])
  const stageId = await stageTo(tx, deals.entity, id, kind)
  const entered = await deals.update(tx, id, { ...values, stageId }, { expected })
  // Another was faster between the look and the change: one wins a deal, the others find it won.
  if (!entered.changed) throw already(kind)
  return entered
}

const already = (kind: Kind): Problem => rule('INVALID_TRANSITION', `The deal is ${kind} already`)

async function stageTo(tx: Tx, entity: Entity, id: string, kind: Kind): Promise<string> {
  const deal = await readForChange<{ status: string; stageId: string | null }>(
    tx,
    entity,
    id,
    () => `
      r.status, (select s.id from stages s where s.tenant_id = r.tenant_id and s.pipeline_id = r.pipeline_id and s.kind = '${kind}'
                 order by s.position, s.id limit 1) as "stageId"`,
  )
  if (deal.status === kind) throw already(kind)
  if (!deal.stageId) throw rule('NO_SUCH_STAGE', `The pipeline of this deal has no ${kind} stage`)
  return deal.stageId
}
