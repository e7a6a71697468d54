import { z } from 'zod'
import type { Database, Tx } from '../db/database.ts'
import { readIfMatch } from '../http/etag.ts'
import { type Route, route } from '../http/route.ts'
import { recordAnswer } from './answer.ts'
import { type Entity, named } from './define.ts'
import { idSchema } from './fields.ts'
import type { Expected, Stored } from './repository.ts'

/** The route of a verb, `POST /{r}/{id}/{verb}`: does it and answers 200 with the record. */
export function verbRoute<B extends z.ZodType>(
  db: Database,
  entity: Entity,
  verb: { name: string; summary: string; description?: string; body: B },
  act: (tx: Tx, id: string, body: z.output<B>, expected: Expected) => Promise<Stored>,
): Route {
  return route({
    method: 'post',
    path: `/${entity.path}/{id}/${verb.name}`,
    operationId: `${verb.name}${named(entity.type)}`,
    summary: verb.summary,
    ...(verb.description ? { description: verb.description } : {}),
    tag: entity.path,
    params: z.object({ id: idSchema }),
    body: verb.body as z.ZodType<z.output<B>>,
    responses: { 200: { description: `The ${entity.type}`, schema: entity.recordSchema, headers: ['ETag'] } },
    problems: [409, 412],
    handle: async (ctx, { params, body, header }) =>
      recordAnswer(await act(db.tenant(ctx), params.id, body, readIfMatch(header('If-Match')))),
  })
}

/** The body of a verb that has nothing to say. */
export const noBody = z.strictObject({}).optional()
