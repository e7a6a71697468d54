import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Expected, Repository } from '../../kernel/entity/repository.ts'
import { notFound, rule } from '../../kernel/errors.ts'

/** Completes a task. Its subtasks stay as they are. */
export async function complete(tx: Tx, tasks: Repository, id: string, expected: Expected): Promise<Changed> {
  if ((await statusOf(tx, id)) === 'completed') throw rule('INVALID_TRANSITION', 'The task is completed already')
  const completed = await tasks.update(tx, id, { status: 'completed' }, { expected })
  // Another was faster between the look and the change.
  if (!completed.changed) throw rule('INVALID_TRANSITION', 'The task is completed already')
  return completed
}

/** Completes a task with all that is open below it, or nothing of it. The caller opens the transaction. */
export async function completeWithSubtasks(
  tx: Tx,
  tasks: Repository,
  id: string,
  expected: Expected,
): Promise<Changed> {
  const completed = await complete(tx, tasks, id, expected)
  const below = await tx.query<{ id: string }>(sql`
    with recursive below as (
      select t.id, t.status from tasks t
      where t.tenant_id = ${tx.ctx.tenantId} and t.parent_id = ${id} and t.deleted_at is null and t.archived_at is null
      union
      select t.id, t.status from below b
      join tasks t on t.tenant_id = ${tx.ctx.tenantId} and t.parent_id = b.id and t.deleted_at is null and t.archived_at is null
    )
    select id from below where status in ('open', 'in_progress') order by id`)
  for (const subtask of below) await tasks.update(tx, subtask.id, { status: 'completed' })
  return completed
}

/** Changes one step of a checklist, so that two who tick off steps at once do not undo each other. */
export async function changeStep(
  tx: Tx,
  tasks: Repository,
  id: string,
  stepId: string,
  change: { text?: string | undefined; done?: boolean | undefined },
  expected: Expected,
): Promise<Changed> {
  await tx.query(sql`select 1 from tasks where tenant_id = ${tx.ctx.tenantId} and id = ${id} for update`)
  const { checklist } = JSON.parse((await tasks.get(tx, id, ['checklist'])).json)
  const steps: { id?: string; text: string; done: boolean }[] = checklist
  if (!steps.some((step) => step.id === stepId)) throw notFound('This task has no such step')
  const { text, done } = change
  const changed = steps.map((step) =>
    step.id === stepId ? { ...step, text: text ?? step.text, done: done ?? step.done } : step,
  )
  return tasks.update(tx, id, { checklist: changed }, { expected })
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
