import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { answerRecord, recordAnswer } from '../../kernel/entity/answer.ts'
import type { CustomFields } from '../../kernel/entity/custom.ts'
import { idSchema, textSchema } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { notFound } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { recordTypes } from '../records.ts'
import { createView, removeView, updateView, type ViewDeps } from './view.actions.ts'
import { view } from './view.entity.ts'
import { findView, listViews } from './view.queries.ts'

/** Saved views: one's own, and those that are shared. */
export function viewRoutes({
  db,
  records: views,
  registry: { entities },
  customFields,
}: {
  db: Database
  records: Repository
  registry: Registry
  customFields: CustomFields
}): Route[] {
  const deps: ViewDeps = { views, entities, customFields }
  const params = z.object({ id: idSchema })
  const record = { description: 'The view', schema: view.recordSchema, headers: ['ETag'] }
  return [
    route({
      method: 'get',
      path: '/views',
      operationId: 'listView',
      summary: 'Your own views and those that are shared, by name',
      tag: 'views',
      query: z.strictObject({
        resource: z.enum(recordTypes).optional(),
        shared: z.enum(['private', 'shared']).optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      responses: { 200: { description: 'A page of views', schema: pageOf(view.recordSchema) } },
      handle: async (ctx, { query: { limit = 50, cursor, ...narrowed } }) => {
        const list = `views ${ctx.rights.userId} ${JSON.stringify(narrowed)}`
        const after = readPlace(cursor, list, placeSchema)
        const found = await listViews(db.tenant(ctx), narrowed, after, limit + 1)
        return { status: 200, body: paged(found, limit, list, (last) => [last.name, last.id]) }
      },
    }),
    route({
      method: 'get',
      path: '/views/{id}',
      operationId: 'getView',
      summary: 'Read one view; a list takes it as `?view=`',
      tag: 'views',
      params,
      responses: { 200: record, 304: { description: 'Not modified', schema: null } },
      handle: async (ctx, { params, header }) => {
        const found = await findView(db.tenant(ctx), params.id)
        if (!found) throw notFound()
        return answerRecord(found, header('If-None-Match'))
      },
    }),
    route({
      method: 'post',
      path: '/views',
      operationId: 'createView',
      summary: 'Save filters, sort and columns of a list',
      description: 'As a value of a filter by user `me` is whoever opens the view.',
      tag: 'views',
      body: view.createSchema,
      responses: { 201: { ...record, headers: ['ETag', 'Location'] } },
      problems: [409, 422],
      handle: async (ctx, { body }) => {
        const made = await db.transaction(ctx, (tx) => createView(tx, deps, body))
        const answer = recordAnswer(made)
        return { ...answer, status: 201, headers: { ...answer.headers, Location: `/api/v1/views/${made.id}` } }
      },
    }),
    route({
      method: 'patch',
      path: '/views/{id}',
      operationId: 'updateView',
      summary: 'Change a view: its owner, or an administrator a shared one',
      tag: 'views',
      params,
      body: view.patchSchema,
      responses: { 200: record },
      problems: [409, 412],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return recordAnswer(await db.transaction(ctx, (tx) => updateView(tx, deps, params.id, body, expected)))
      },
    }),
    route({
      method: 'delete',
      path: '/views/{id}',
      operationId: 'deleteView',
      summary: 'Delete a view: its owner, or an administrator a shared one',
      tag: 'views',
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412],
      handle: async (ctx, { params, header }) => {
        const expected = readIfMatch(header('If-Match'))
        await db.transaction(ctx, (tx) => removeView(tx, deps, params.id, expected))
        return { status: 204 }
      },
    }),
  ]
}

const placeSchema = z.tuple([textSchema(100), idSchema]).transform(([name, id]) => ({ name, id }))
