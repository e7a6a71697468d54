import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { sentBack } from '../../kernel/entity/sent-back.ts'
import { etagOf, noneMatches, readIfMatch } from '../../kernel/http/etag.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { addComment, editComment, readComment, removeComment } from './comment.actions.ts'
import { listComments, listFormer } from './comment.queries.ts'
import { bodySchema, type Comment, commentSchema, formerSchema } from './comment.ts'

/** Comments on every record of these nouns. */
export function commentRoutes(db: Database, repositories: readonly Repository[]): Route[] {
  const commented = new Map(repositories.map((records) => [records.entity.type, records]))
  const params = z.object({ id: idSchema })
  const one = { description: 'The comment', schema: commentSchema, headers: ['ETag'] }
  const paging = z.strictObject({ limit: limitSchema, cursor: cursorSchema })
  return [
    ...repositories.flatMap((records) => commentsOf(db, records)),
    route({
      method: 'get',
      path: '/comments/{id}',
      operationId: 'getComment',
      summary: 'Read one comment',
      tag: 'comments',
      params,
      responses: { 200: one, 304: { description: 'Not modified', schema: null } },
      handle: async (ctx, { params, header }) => {
        const { comment } = await readComment(db.tenant(ctx), commented, params.id)
        const known = noneMatches(header('If-None-Match'), comment.version)
        return known ? { status: 304, headers: { ETag: etagOf(comment.version) } } : answerOf(comment)
      },
    }),
    route({
      method: 'patch',
      path: '/comments/{id}',
      operationId: 'updateComment',
      summary: 'Change what you said; the former text is kept',
      description: 'Who is mentioned anew is notified, the others not again.',
      tag: 'comments',
      params,
      body: z.strictObject({ body: bodySchema.optional(), ...sentBack(commentSchema, ['body']) }),
      responses: { 200: one },
      problems: [412],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return answerOf(await db.transaction(ctx, (tx) => editComment(tx, commented, params.id, body, expected)))
      },
    }),
    route({
      method: 'delete',
      path: '/comments/{id}',
      operationId: 'deleteComment',
      summary: 'Delete a comment: its author, or an administrator; it does not come back',
      tag: 'comments',
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412],
      handle: async (ctx, { params, header }) => {
        const expected = readIfMatch(header('If-Match'))
        await db.transaction(ctx, (tx) => removeComment(tx, commented, params.id, expected))
        return { status: 204 }
      },
    }),
    route({
      method: 'get',
      path: '/comments/{id}/history',
      operationId: 'listCommentHistory',
      summary: 'What a comment said before its edits, the newest first',
      tag: 'comments',
      params,
      query: paging,
      responses: { 200: { description: 'A page of former texts', schema: pageOf(formerSchema) } },
      handle: async (ctx, { params, query: { limit = 50, cursor } }) => {
        const tx = db.tenant(ctx)
        await readComment(tx, commented, params.id)
        const list = `comment history ${params.id}`
        const below = readPlace(cursor, list, versionPlace)
        const found = await listFormer(tx, params.id, below, limit + 1)
        return { status: 200, body: paged(found, limit, list, (last) => [last.version]) }
      },
    }),
  ]
}

function commentsOf(db: Database, records: Repository): Route[] {
  const { entity } = records
  const path = `/${entity.path}/{id}/comments`
  const params = z.object({ id: idSchema })
  return [
    route({
      method: 'get',
      path,
      operationId: `list${named(entity.type)}Comments`,
      summary: `The comments on a ${entity.type}, oldest first`,
      tag: entity.path,
      params,
      query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      responses: { 200: { description: 'A page of comments, oldest first', schema: pageOf(commentSchema) } },
      handle: (ctx, { params, query }) => page(db, ctx, records, params.id, query),
    }),
    route({
      method: 'post',
      path,
      operationId: `create${named(entity.type)}Comment`,
      summary: `Comment on a ${entity.type}`,
      description: 'Markdown; `@[Name](userId)` mentions somebody, who is notified if he may read the record.',
      tag: entity.path,
      params,
      body: z.strictObject({ body: bodySchema }),
      responses: { 201: { description: 'The comment', schema: commentSchema, headers: ['ETag', 'Location'] } },
      handle: async (ctx, { params, body }) => {
        const made = await db.transaction(ctx, (tx) => addComment(tx, records, params.id, body.body))
        const answer = answerOf(made)
        return { ...answer, status: 201, headers: { ...answer.headers, Location: `/api/v1/comments/${made.id}` } }
      },
    }),
  ]
}

async function page(
  db: Database,
  ctx: Ctx,
  records: Repository,
  id: string,
  { limit = 50, cursor }: { limit?: number | undefined; cursor?: string | undefined },
): Promise<Answer> {
  const tx = db.tenant(ctx)
  const { type } = records.entity
  await records.get(tx, id, ['id'])
  const list = `comments ${type} ${id}`
  const found = await listComments(tx, { type, id }, readPlace(cursor, list, timePlace), limit + 1)
  return { status: 200, body: paged(found, limit, list, (last) => [last.createdAt, last.id]) }
}

const versionPlace = z.tuple([z.int().min(1).max(2_147_483_647)]).transform(([version]) => version)

const answerOf = (comment: Comment): Answer => ({
  status: 200,
  body: comment,
  headers: { ETag: etagOf(comment.version) },
})
