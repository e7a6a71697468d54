import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Repository } from '../../kernel/entity/repository.ts'
import { notFound, rule } from '../../kernel/errors.ts'

/** Completes a task. */
export async function complete(tx: Tx, tasks: Repository, id: string): Promise<Changed> {
  if ((await statusOf(tx, id)) === 'completed') throw rule('INVALID_TRANSITION', 'The task is completed already')
  return tasks.update(tx, id, { status: 'completed' })
}

/** Takes up a task again that was completed or cancelled. */
export async function reopen(tx: Tx, tasks: Repository, id: string): Promise<Changed> {
  const status = await statusOf(tx, id)
  if (status === 'open' || status === 'in_progress') throw rule('INVALID_TRANSITION', 'The task is open already')
  return tasks.update(tx, id, { status: 'open' })
}

/** Makes these users, and no others, the assignees of a task. */
export function assign(tx: Tx, tasks: Repository, id: string, userIds: readonly string[]): Promise<Changed> {
  return tasks.update(tx, id, { assigneeIds: userIds })
}

async function statusOf(tx: Tx, id: string): Promise<string> {
  const [task] = await tx.query<{ status: string }>(sql`
    select status from tasks where tenant_id = ${tx.ctx.tenantId} and id = ${id} and deleted_at is null`)
  if (!task) throw notFound()
  return task.status
}
