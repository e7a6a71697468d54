import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { idSchema, refs } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { noBody, verbRoute } from '../../kernel/entity/verb-route.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { assign, changeStep, complete, completeWithSubtasks, reopen } from './task.actions.ts'
import { stepText, task } from './task.entity.ts'

/** What is special about tasks: the verbs. */
export function taskRoutes({ db, records: tasks }: { db: Database; records: Repository }): Route[] {
  return [
    verbRoute(
      db,
      task,
      {
        name: 'complete',
        summary: 'Complete a task',
        description:
          'Its subtasks stay as they are, unless `{"subtasks": "complete"}` completes what is open of them too.',
        body: z.strictObject({ subtasks: z.literal('complete').optional() }).optional(),
      },
      (tx, id, body, expected) =>
        body?.subtasks
          ? db.transaction(tx.ctx, (inner) => completeWithSubtasks(inner, tasks, id, expected))
          : complete(tx, tasks, id, expected),
    ),
    route({
      method: 'patch',
      path: '/tasks/{id}/checklist/{stepId}',
      operationId: 'changeTaskStep',
      summary: 'Tick off or change one step of a checklist',
      tag: 'tasks',
      params: z.object({ id: idSchema, stepId: z.string().max(64) }),
      body: z.strictObject({ text: stepText.optional(), done: z.boolean().optional() }),
      responses: { 200: { description: 'The task', schema: task.recordSchema, headers: ['ETag'] } },
      problems: [412],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return recordAnswer(
          await db.transaction(ctx, (tx) => changeStep(tx, tasks, params.id, params.stepId, body, expected)),
        )
      },
    }),
    verbRoute(
      db,
      task,
      { name: 'reopen', summary: 'Take a completed or cancelled task up again', body: noBody },
      (tx, id, _body, expected) => reopen(tx, tasks, id, expected),
    ),
    verbRoute(
      db,
      task,
      {
        name: 'assign',
        summary: 'Make these users the assignees',
        body: z.strictObject({ userIds: refs('user').schema }),
      },
      (tx, id, body, expected) => assign(tx, tasks, id, body.userIds, expected),
    ),
  ]
}
