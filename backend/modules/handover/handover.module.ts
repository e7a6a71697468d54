import sql from 'sql-template-tag'
import { z } from 'zod'
import { lockMember, updateUser } from '../../entities/users/user.actions.ts'
import { user } from '../../entities/users/user.entity.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { forbidden, notFound } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import type { Job } from '../../kernel/jobs/job.ts'
import { sweep } from '../../kernel/jobs/sweep.ts'
import type { Module } from '../../kernel/module.ts'
import { requestHandOver } from './hand-over.actions.ts'
import { readHandOver } from './hand-over.queries.ts'
import { handOverSchema } from './hand-over.ts'
import { failHandOver, type HandOverDeps, runHandOver } from './run.ts'

/** What becomes of what somebody had when he leaves. */
export function handoverModule(deps: HandOverDeps): Module {
  return {
    name: 'handover',
    routes: routes(deps),
    jobs: [handOverJob(deps)],
    // Three months after it nobody asks any more how it went.
    schedules: [
      sweep(
        deps.db,
        { name: 'hand-overs.forget', cron: '5 4 * * *' },
        { handOvers: { table: 'hand_overs', where: sql`completed_at < now() - interval '90 days'` } },
      ),
    ],
  }
}

function routes({ db, repository }: HandOverDeps): Route[] {
  const params = z.object({ id: idSchema })
  return [
    route({
      method: 'post',
      path: '/users/{id}/deactivate',
      operationId: 'deactivateUser',
      summary: 'Make a member inactive, and give all that he looks after to another',
      description:
        'His sessions end at once. With `handOverTo` his records, tasks, teams and reports go over in the background; asked for again it goes on with what is left.',
      tag: 'users',
      params,
      body: z.strictObject({ handOverTo: idSchema.optional() }).optional(),
      responses: {
        200: { description: 'The member, inactive', schema: user.recordSchema, headers: ['ETag'] },
        202: { description: 'Inactive, and on the way', schema: handOverSchema, headers: ['Location'] },
      },
      problems: [412, 422],
      handle: async (ctx, { params: { id }, body, header }) => {
        if (ctx.rights.scope('user', 'update') === 'none') throw forbidden('Your role may not deactivate members')
        const handOverTo = body?.handOverTo
        const expected = readIfMatch(header('If-Match'))
        return db.transaction(ctx, async (tx) => {
          await lockMember(tx, id)
          const changed = await updateUser(tx, repository('user'), id, { active: false }, expected)
          if (handOverTo === undefined) return recordAnswer(changed)
          const handOverId = await requestHandOver(tx, id, handOverTo)
          const asked = await readHandOver(tx, handOverId)
          return { status: 202, body: asked, headers: { Location: `/api/v1/hand-overs/${handOverId}` } }
        })
      },
    }),
    route({
      method: 'get',
      path: '/hand-overs/{id}',
      operationId: 'getHandOver',
      summary: 'How far a hand-over is',
      tag: 'users',
      params,
      responses: { 200: { description: 'The hand-over', schema: handOverSchema } },
      handle: async (ctx, { params: { id } }) => {
        const found = ctx.rights.scope('user', 'update') === 'none' ? undefined : await readHandOver(db.tenant(ctx), id)
        if (!found) throw notFound()
        return { status: 200, body: found }
      },
    }),
  ]
}

const data = z.object({ handOverId: z.guid() })

const handOverJob = (deps: HandOverDeps): Job<z.output<typeof data>> => ({
  name: 'user.hand-over',
  queue: 'imports',
  timeout: 3_600_000,
  data,
  on: ['user.hand_over_requested'],
  ask: ({ data: { handOverId } }) => (typeof handOverId === 'string' ? [{ data: { handOverId } }] : []),
  run: (work) => runHandOver(deps, work),
  gaveUp: (work) => failHandOver(deps.db, work),
})
