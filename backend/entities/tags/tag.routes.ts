import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { verbRoute } from '../../kernel/entity/verb-route.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { taggedNouns } from './relabel.ts'
import { changeTag, mergeTags, removeTag, type TagDeps } from './tag.actions.ts'
import { tag } from './tag.entity.ts'

/** What is special about tags: what happens to one happens to all records that carry it. */
export function tagRoutes({
  db,
  records: tags,
  registry: { entities },
  repository,
}: {
  db: Database
  records: Repository
  registry: Registry
  repository(type: string): Repository
}): Route[] {
  const deps: TagDeps = { tags, tagged: taggedNouns(entities, repository) }
  const params = z.object({ id: idSchema })
  return [
    route({
      method: 'patch',
      path: '/tags/{id}',
      operationId: 'updateTag',
      summary: 'Change members of a tag; its records follow a new name',
      description: 'Of more than 1,000 records the rest follows shortly after the answer.',
      tag: 'tags',
      params,
      body: tag.patchSchema,
      responses: { 200: { description: 'The tag', schema: tag.recordSchema, headers: ['ETag'] } },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return recordAnswer(await db.transaction(ctx, (tx) => changeTag(tx, deps, params.id, body, expected)))
      },
    }),
    verbRoute(
      db,
      tag,
      {
        name: 'merge',
        summary: 'Fold other tags into this one: their records carry it instead, and they are deleted',
        body: z.strictObject({
          fromIds: z
            .array(idSchema)
            .min(1)
            .max(50)
            .transform((ids) => [...new Set(ids)]),
        }),
      },
      (tx, id, { fromIds }, expected) =>
        db.transaction(tx.ctx, (inner) => mergeTags(inner, deps, id, fromIds, expected)),
    ),
    route({
      method: 'delete',
      path: '/tags/{id}',
      operationId: 'deleteTag',
      summary: 'Delete a tag and take it off its records',
      tag: 'tags',
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412],
      handle: async (ctx, { params, header }) => {
        const expected = readIfMatch(header('If-Match'))
        await db.transaction(ctx, (tx) => removeTag(tx, deps, params.id, expected))
        return { status: 204 }
      },
    }),
  ]
}
