import { extname } from 'node:path'
import { z } from 'zod'
import type { Files } from '../../adapters/files/files.port.ts'
import type { Ctx } from '../../kernel/context.ts'
import { maskRecord } from '../../kernel/entity/field-rules.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import { notFound } from '../../kernel/errors.ts'
import type { Form, SentFile } from '../../kernel/http/form.ts'
import { once } from '../../kernel/http/idempotency.ts'
import { cursorSchema, limitSchema, paged, pageOf, printedPage, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, Bytes, JsonText, type Route, route } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { isObject, type Mask, sight } from '../../kernel/sight.ts'
import { errorsCsv } from './errors-csv.ts'
import { checkRequest, type RequestDeps, requestImport, requestUndo } from './import.actions.ts'
import { listImports, printImport } from './import.queries.ts'
import { type ImportFile, importFields, importSchema } from './import.ts'
import { type UndoDeps, undoSome } from './undo.ts'

const form: Form<typeof importFields> = { file: 'file', fields: importFields, maxBytes: 100 * 1_048_576 }

/** Asking for an import, watching it, and taking it back. */
export function importRoutes(deps: RequestDeps & UndoDeps): Route[] {
  const { db, files, registry } = deps
  const params = z.object({ id: idSchema })
  const schema = importSchema
    .clone()
    .meta({ id: 'Import' })
    .register(sight, { mask: maskImport(registry) })
  return [
    route({
      method: 'post',
      path: '/imports',
      operationId: 'createImport',
      summary: 'Import a table: CSV, XLSX or JSON Lines',
      description:
        '`mapping` goes from the name of a column to a member, `cf.key`, or what names another record (`company.name`); without it columns are recognised by their names. Sent as text fields, the objects and lists as JSON. A dry run tells of each row what would become of it after the rows before it (of the first two million that are told by a key); what names a parent in the same table is looked for only when it is no dry run.',
      tag: 'imports',
      form,
      idempotency: 'statement',
      responses: { 202: { description: 'Its job is on the way', schema, headers: ['Location'] } },
      problems: [409, 422],
      handle: async (ctx, { form: read, idempotencyKey }) => {
        const { fields, kept, digest } = await read(
          form,
          (file) => keepFile(files, ctx, file),
          ({ key }) => files.delete(key),
        )
        const key = idempotencyKey(digest)
        let used = false
        const request = async (joined: Ctx): Promise<Answer> => {
          const checked = await checkRequest(deps, joined, fields, kept)
          const id = await db.transaction(joined, (tx) => requestImport(tx, checked))
          used = true
          const json = (await printImport(db.tenant(joined), id)) ?? ''
          return { status: 202, body: new JsonText(json), headers: { Location: `/api/v1/imports/${id}` } }
        }
        try {
          return await (key ? once(db, ctx, key, request) : request(ctx))
        } finally {
          // The file of a request that was refused, or answered before, is nobody's.
          if (!used) await files.delete(kept.key)
        }
      },
    }),
    route({
      method: 'get',
      path: '/imports',
      operationId: 'listImport',
      summary: 'List imports, newest first: your own, for administrators those of all',
      tag: 'imports',
      query: z.strictObject({
        limit: limitSchema,
        cursor: cursorSchema,
        resource: z.string().max(64).optional(),
        status: importSchema.shape.status.optional(),
      }),
      responses: { 200: { description: 'A page of imports', schema: pageOf(schema) } },
      handle: async (ctx, { query }) => {
        const { limit = 50, cursor, ...filters } = query
        const list = JSON.stringify([ctx.tenantId, 'imports', filters])
        const after = readPlace(cursor, list, timePlace)
        const rows = await listImports(db.tenant(ctx), filters, after, limit + 1)
        const page = paged(rows, limit, list, (last) => [last.createdAt, last.id])
        return { status: 200, body: printedPage(page) }
      },
    }),
    route({
      method: 'get',
      path: '/imports/{id}',
      operationId: 'getImport',
      summary: 'How far an import is, and what it came to',
      tag: 'imports',
      params,
      responses: { 200: { description: 'The import', schema } },
      handle: async (ctx, { params }) => answer(await printImport(db.tenant(ctx), params.id), 200),
    }),
    route({
      method: 'get',
      path: '/imports/{id}/errors.csv',
      operationId: 'getImportErrors',
      summary: 'What is wrong with the table: line, column, value, reason',
      tag: 'imports',
      params,
      responses: { 200: { description: 'The errors', schema: null, type: 'text/csv', apart: true } },
      handle: async (ctx, { params }) => {
        const tx = db.tenant(ctx)
        if ((await printImport(tx, params.id)) === null) throw notFound()
        return {
          status: 200,
          body: new Bytes(errorsCsv(tx, params.id)),
          headers: {
            'Content-Type': 'text/csv; charset=utf-8',
            'Content-Disposition': `attachment; filename="import-errors-${params.id}.csv"`,
          },
        }
      },
    }),
    route({
      method: 'post',
      path: '/imports/{id}/undo',
      operationId: 'undoImport',
      summary: 'Take an import back: delete what it made, restore what it changed',
      description:
        'What somebody changed since, and what other records refer to by now, stays as it is and is named. A large import is undone by a job.',
      tag: 'imports',
      params,
      responses: {
        200: { description: 'It is undone', schema },
        202: { description: 'Its job is on the way', schema },
      },
      problems: [422],
      handle: async (ctx, { params }) => {
        const size = await db.transaction(ctx, (tx) => requestUndo(tx, params.id))
        const bulk: Ctx = { ...ctx, lane: 'bulk' }
        if (size === 'small') while (await undoSome(deps, bulk, params.id));
        return answer(await printImport(db.tenant(ctx), params.id), size === 'large' ? 202 : 200)
      },
    }),
  ]
}

/** A dry run shows records as they would be, and those that rows are: of both only what one sees. */
const maskImport =
  (registry: Registry): Mask =>
  (rights, value) => {
    const { resource, preview } = Object(value)
    const entity = registry.byPath(String(resource))
    if (!isObject(value) || !Array.isArray(preview) || !entity) return value
    const shown = (record: unknown) => (isObject(record) ? maskRecord(registry, entity, rights, record) : record)
    return { ...value, preview: preview.map((row) => ({ ...row, record: shown(row.record) })) }
  }

async function keepFile(files: Files, ctx: Ctx, { name, contentType, bytes }: SentFile): Promise<ImportFile> {
  const extension = /^\.[a-z0-9]{1,8}$/.exec(extname(name).toLowerCase())?.[0] ?? ''
  const { key, size } = await files.put(`imports/${ctx.tenantId}/${newId()}${extension}`, bytes, contentType)
  return { key, size, name: name.slice(0, 255).toWellFormed().replaceAll('\0', '') || 'table' }
}

function answer(json: string | null, status: number): Answer {
  if (json === null) throw notFound()
  return { status, body: new JsonText(json) }
}
