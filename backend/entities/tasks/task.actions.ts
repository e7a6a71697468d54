import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { refuseUnwritable } from '../../kernel/entity/field-rules.ts'
import { readForChange } from '../../kernel/entity/read-for-change.ts'
import type { Changed, Expected, Repository } from '../../kernel/entity/repository.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { notFound, rule } from '../../kernel/errors.ts'

/** Completes a task. Its subtasks stay as they are. */
export async function complete(tx: Tx, tasks: Repository, id: string, expected: Expected): Promise<Changed> {
  if ((await statusOf(tx, tasks, id)) === 'completed') throw rule('INVALID_TRANSITION', 'The task is completed already')
  const completed = await tasks.update(tx, id, { status: 'completed' }, { expected })
  // Another was faster between the look and the change.
  if (!completed.changed) throw rule('INVALID_TRANSITION', 'The task is completed already')
  return completed
}

/**
 * Completes a task with all that is open below it, or nothing of it; what the caller does not see stays as it is. The caller
 * opens the transaction.
 */
export async function completeWithSubtasks(
  tx: Tx,
  tasks: Repository,
  id: string,
  expected: Expected,
): Promise<Changed> {
  const completed = await complete(tx, tasks, id, expected)
  const { rights, tenantId } = tx.ctx
  const sight = rights.scope('task', 'read')
  const seen = plan((bind) => {
    const isBelow = `r.tenant_id = ${bind('tenant', 'uuid')} and r.deleted_at is null and r.archived_at is null
      and ${scopeSql(tasks.entity, sight, 'r', bind, 'seers')}`
    return `
      with recursive below as (
        select r.id, r.status from tasks r where r.parent_id = ${bind('id', 'uuid')} and ${isBelow}
        union
        select r.id, r.status from below b join tasks r on r.parent_id = b.id and ${isBelow}
      )
      select id from below where status in ('open', 'in_progress') order by id`
  })
  const below = await tx.query<{ id: string }>(fill(seen, { tenant: tenantId, id, seers: scopeUsers(sight) }))
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
  refuseUnwritable(tx.ctx.rights, tasks.entity, ['checklist'])
  await tx.query(sql`select 1 from tasks where tenant_id = ${tx.ctx.tenantId} and id = ${id} for update`)
  const { steps } = await readForChange<{ steps: readonly { id?: string; text: string; done: boolean }[] }>(
    tx,
    tasks.entity,
    id,
    () => 'r.checklist as steps',
  )
  if (!steps.some((step) => step.id === stepId)) throw notFound('This task has no such step')
  const { text, done } = change
  const changed = steps.map((step) =>
    step.id === stepId ? { ...step, text: text ?? step.text, done: done ?? step.done } : step,
  )
  return tasks.update(tx, id, { checklist: changed }, { expected })
}

/** Takes up a task again that was completed or cancelled. */
export async function reopen(tx: Tx, tasks: Repository, id: string, expected: Expected): Promise<Changed> {
  const status = await statusOf(tx, tasks, id)
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

async function statusOf(tx: Tx, tasks: Repository, id: string): Promise<string> {
  refuseUnwritable(tx.ctx.rights, tasks.entity, ['status'])
  const { status } = await readForChange<{ status: string }>(tx, tasks.entity, id, () => 'r.status')
  return status
}
