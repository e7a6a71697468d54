import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Expected, Repository } from '../../kernel/entity/repository.ts'
import { notFound, rule } from '../../kernel/errors.ts'

/** Completes a task. */
export async function complete(tx: Tx, tasks: Repository, id: string, expected: Expected): Promise<Changed> {
  if ((await statusOf(tx, id)) === 'completed') throw rule('INVALID_TRANSITION', 'The task is completed already')
  const completed = await tasks.update(tx, id, { status: 'completed' }, { expected })
  // Another was faster between the look and the change.
  if (!completed.changed) throw rule('INVALID_TRANSITION', 'The task is completed already')
  return completed
}

/** Takes up a task again that was completed or cancelled. */
export async function reopen(tx: Tx, tasks: Repository, id: string, expected: Expected): Promise<Changed> {
  const status = await statusOf(tx, id)
  if (status === 'open' || status === 'in_progress') throw rule('INVALID_TRANSITION', 'The task is open already')
  const reopened = await tasks.update(tx, id, { status: 'open' }, { expected })
  if (!reopened.changed) throw rule('INVALID_TRANSITION', 'The task is open already')
  return reopened
}

/** Makes these users, and no others, the assignees of a task. */
export function assign(
  tx: Tx,
  tasks: Repository,
  id: string,
  userIds: readonly string[],
  expected: Expected,
): Promise<Changed> {
  return tasks.update(tx, id, { assigneeIds: userIds }, { expected })
}

async function statusOf(tx: Tx, id: string): Promise<string> {
  const [task] = await tx.query<{ status: string }>(sql`
    select status from tasks where tenant_id = ${tx.ctx.tenantId} and id = ${id} and deleted_at is null`)
  if (!task) throw notFound()
  return task.status
}
