import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { clearableSchema, filledSchema, idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { forbidden, invalidMember } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { createPipeline, refuseHeldPipeline, updatePipeline } from './pipeline.actions.ts'
import { pipeline, stageSchema } from './pipeline.entity.ts'

const name = filledSchema(100)
const writable = {
  name,
  isDefault: z.boolean().optional(),
  externalId: clearableSchema(255).nullable().optional(),
  stages: z.array(stageSchema).min(1).max(50),
}
const sentBack = z.unknown().optional()

/** Writing pipelines with their stages; reading them is the engine's. */
export function pipelineRoutes({ db, records: pipelines }: { db: Database; records: Repository }): Route[] {
  const params = z.object({ id: idSchema })
  const record = { description: 'The pipeline', schema: pipeline.recordSchema, headers: ['ETag'] }
  return [
    route({
      method: 'post',
      path: '/pipelines',
      operationId: 'createPipeline',
      summary: 'Create a pipeline with its stages',
      tag: 'pipelines',
      body: z.strictObject(writable),
      responses: { 201: { ...record, headers: ['ETag', 'Location'] } },
      problems: [409],
      handle: async (ctx, { body }) => {
        if (ctx.rights.scope('pipeline', 'create') === 'none') throw forbidden('Your role may not make pipelines')
        const made = await db.transaction(ctx, (tx) => createPipeline(tx, body))
        const answer = recordAnswer(made)
        return { ...answer, status: 201, headers: { ...answer.headers, Location: `/api/v1/pipelines/${made.id}` } }
      },
    }),
    route({
      method: 'patch',
      path: '/pipelines/{id}',
      operationId: 'updatePipeline',
      summary: 'Change a pipeline; `stages` is the whole list',
      tag: 'pipelines',
      params,
      body: z.strictObject({
        ...z.object(writable).partial().shape,
        id: sentBack,
        createdAt: sentBack,
        updatedAt: sentBack,
        createdById: sentBack,
        version: sentBack,
        archivedAt: sentBack,
      }),
      responses: { 200: record },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) => {
        if (ctx.rights.scope('pipeline', 'update') === 'none') throw forbidden('Your role may not change pipelines')
        const { id, createdAt, updatedAt, createdById, version, archivedAt, ...values } = body
        const readOnly = { id, createdAt, updatedAt, createdById, version, archivedAt }
        const changed = await db.transaction(ctx, async (tx) => {
          const before = JSON.parse((await pipelines.get(tx, params.id)).json)
          for (const [member, value] of Object.entries(readOnly)) {
            if (value !== undefined && value !== before[member])
              throw invalidMember(member, 'is read-only and differs from what it is', 'read_only')
          }
          return updatePipeline(tx, params.id, values, readIfMatch(header('If-Match')))
        })
        return recordAnswer(changed)
      },
    }),
    route({
      method: 'delete',
      path: '/pipelines/{id}',
      operationId: 'deletePipeline',
      summary: 'Delete a pipeline that holds no deals',
      tag: 'pipelines',
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412, 422],
      handle: async (ctx, { params, header }) => {
        if (ctx.rights.scope('pipeline', 'delete') === 'none') throw forbidden('Your role may not delete pipelines')
        await db.transaction(ctx, async (tx) => {
          await refuseHeldPipeline(tx, params.id)
          await pipelines.remove(tx, params.id, readIfMatch(header('If-Match')))
        })
        return { status: 204 }
      },
    }),
  ]
}
