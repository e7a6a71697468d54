import sql from 'sql-template-tag'
import { z } from 'zod'
import { type Ctx, mayNot } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { invalid, invalidMember, notFound, Problem } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { findExport, listExports, type ShownExport } from './export.queries.ts'
import { type ExportRequest, exportRequest, exportSchema, searchOf } from './export.ts'
import { formats } from './formats.ts'
import { columnsFor, type ExportDeps } from './run.ts'

const linkSeconds = 3_600

/** Asking for an export, watching it, and fetching its file. */
export function exportRoutes(deps: ExportDeps): Route[] {
  const { db, files } = deps
  const show = async ({ record, format, file }: ShownExport): Promise<unknown> => {
    if (!file) return { ...record, url: null, expiresAt: null }
    const { contentType } = formats[format]
    const expiresAt = new Date((Math.floor(Date.now() / 1_000) + linkSeconds) * 1_000).toISOString()
    const url = await files.link(file.key, { name: file.name, contentType, expiresIn: linkSeconds })
    return { ...record, url, expiresAt }
  }
  const shown = async (tx: Tx, id: string): Promise<unknown> => {
    const found = await findExport(tx, id)
    if (!found) throw notFound()
    return show(found)
  }
  return [
    route({
      method: 'post',
      path: '/exports',
      operationId: 'createExport',
      summary: 'Export a list with its filters as CSV, XLSX or JSON Lines',
      tag: 'exports',
      body: exportRequest,
      responses: { 202: { description: 'Its job is on the way', schema: exportSchema, headers: ['Location'] } },
      handle: async (ctx, { body }) => {
        await checkRequest(deps, ctx, body)
        const id = await db.transaction(ctx, (tx) => requestExport(tx, body))
        const record = await shown(db.tenant(ctx), id)
        return { status: 202, body: record, headers: { Location: `/api/v1/exports/${id}` } }
      },
    }),
    route({
      method: 'get',
      path: '/exports',
      operationId: 'listExport',
      summary: 'List your exports, newest first',
      tag: 'exports',
      query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      responses: { 200: { description: 'A page of exports', schema: pageOf(exportSchema) } },
      handle: async (ctx, { query: { limit = 50, cursor } }) => {
        const list = JSON.stringify([ctx.tenantId, 'exports', ctx.actor.id])
        const rows = await listExports(db.tenant(ctx), readPlace(cursor, list, timePlace), limit + 1)
        const { data, page } = paged(rows, limit, list, (last) => [last.createdAt, last.id])
        return { status: 200, body: { data: await Promise.all(data.map(show)), page } }
      },
    }),
    route({
      method: 'get',
      path: '/exports/{id}',
      operationId: 'getExport',
      summary: 'How far an export is, and a link to its file',
      tag: 'exports',
      params: z.object({ id: idSchema }),
      responses: { 200: { description: 'The export', schema: exportSchema } },
      handle: async (ctx, { params }) => ({ status: 200, body: await shown(db.tenant(ctx), params.id) }),
    }),
  ]
}

const ownParameters = new Set(['limit', 'cursor', 'fields', 'include', 'count', 'sort'])

/** Everything that can be wrong is told now, by the list itself; its parameters are members of `filters` here. */
async function checkRequest(deps: ExportDeps, ctx: Ctx, request: ExportRequest): Promise<void> {
  const { registry, exportable, list, db } = deps
  const { resource, filters, sort, columns } = request
  const entity = registry.byPath(resource)
  if (!entity || !exportable.has(entity.type)) {
    const paths = [...exportable].map((type) => registry.entities.get(type)?.path)
    throw invalidMember('resource', `must be one of ${paths.join(', ')}`)
  }
  if (ctx.rights.scope(entity.type, 'read') === 'none') throw mayNot(ctx, 'read', entity.type)
  const own = Object.keys(filters).find((name) => ownParameters.has(name))
  if (own !== undefined) throw invalidMember(`filters.${own}`, 'is not a filter')
  await columnsFor(deps, ctx, entity, columns)
  const search = searchOf({ filters, sort })
  search.set('limit', '1')
  try {
    await list(entity.type)(db.tenant(ctx), search)
  } catch (error) {
    if (!(error instanceof Problem) || !error.errors) throw error
    throw invalid(error.errors.map((one) => ({ ...one, path: one.path === 'sort' ? 'sort' : `filters.${one.path}` })))
  }
}

/** Keeps a request with the event that starts its work. */
async function requestExport(tx: Tx, { resource, format, ...options }: ExportRequest): Promise<string> {
  const { ctx } = tx
  const id = newId()
  await tx.query(sql`
    insert into exports (tenant_id, id, created_by_id, resource, format, options, operation_id)
    values (${ctx.tenantId}, ${id}, ${ctx.actor.id}, ${resource}, ${format}, ${JSON.stringify(options)}, ${ctx.operationId})`)
  const record = { name: resource, format, filters: options.filters, createdById: ctx.actor.id }
  await appendEvents(tx, [{ name: 'export.requested', type: 'export', recordId: id, record, data: { exportId: id } }])
  return id
}
