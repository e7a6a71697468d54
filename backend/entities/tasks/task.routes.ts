import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { refs } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { noBody, verbRoute } from '../../kernel/entity/verb-route.ts'
import type { Route } from '../../kernel/http/route.ts'
import { assign, complete, reopen } from './task.actions.ts'
import { task } from './task.entity.ts'

/** What is special about tasks: the verbs. */
export function taskRoutes(db: Database, tasks: Repository): Route[] {
  return [
    verbRoute(db, task, { name: 'complete', summary: 'Complete a task', body: noBody }, (tx, id, _body, expected) =>
      complete(tx, tasks, id, expected),
    ),
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
