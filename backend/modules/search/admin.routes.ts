import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { forbidden, notFound } from '../../kernel/errors.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { dropDocuments, writeDocuments } from './document.queries.ts'
import { documentOf } from './document.ts'
import { readRecords } from './records.queries.ts'
import { countDocuments, countParked, readWaiting } from './search.queries.ts'

/** What admins do with the index of their tenant: look at it, and put single records right. */
export function adminRoutes(db: Database, entities: ReadonlyMap<string, Entity>): Route[] {
  const types = [...entities.values()].filter(({ searchable }) => searchable).map(({ type }) => type)
  const typeSchema = z.enum(types)

  /** Indexes anew what is there, takes out what is not; gives the ids of the latter. */
  const index = async (ctx: Ctx, type: string, ids: readonly string[]): Promise<string[]> => {
    const entity = entities.get(type)
    if (!entity) throw notFound()
    const missing: string[] = []
    for (let at = 0; at < ids.length; at += atOnce) {
      const some = ids.slice(at, at + atOnce)
      const records = await readRecords(db.tenant(ctx), entities, entity, some)
      const gone = some.filter((id) => !records.some((live) => live.id === id))
      const documents = records.map(({ record, shares }) =>
        documentOf(ctx.tenantId, entity, Number(record.version), record, shares ?? []),
      )
      await db.workerTransaction(async (tx) => {
        await writeDocuments(tx, documents, true)
        await dropDocuments(
          tx,
          gone.map((id) => ({ tenant_id: ctx.tenantId, type, record_id: id })),
        )
      })
      missing.push(...gone)
    }
    return missing
  }

  return [
    route({
      method: 'post',
      path: '/search/index',
      operationId: 'indexRecord',
      summary: 'Index a record anew',
      tag: 'search',
      body: z.strictObject({ type: typeSchema, id: idSchema }),
      responses: { 204: { description: 'Done', schema: null } },
      problems: [404],
      handle: async (ctx, { body }) => {
        refuseOthers(ctx)
        const missing = await index(ctx, body.type, [body.id])
        if (missing.length > 0) throw notFound()
        return { status: 204 }
      },
    }),
    route({
      method: 'post',
      path: '/search/bulk-index',
      operationId: 'indexRecords',
      summary: 'Index up to 1,000 records anew',
      tag: 'search',
      body: z.strictObject({ type: typeSchema, ids: z.array(idSchema).min(1).max(1000) }),
      responses: {
        200: {
          description: 'How many stand in the index, and which are not there to be indexed',
          schema: z.object({ indexed: z.int(), missing: z.array(z.uuid()) }).register(sight, apart),
        },
      },
      handle: async (ctx, { body }) => {
        refuseOthers(ctx)
        const ids = [...new Set(body.ids)]
        const missing = await index(ctx, body.type, ids)
        return { status: 200, body: { indexed: ids.length - missing.length, missing } }
      },
    }),
    route({
      method: 'delete',
      path: '/search/index/{type}/{id}',
      operationId: 'unindexRecord',
      summary: 'Take a record out of the index until it changes or is indexed anew',
      tag: 'search',
      params: z.object({ type: typeSchema, id: idSchema }),
      responses: { 204: { description: 'Done', schema: null } },
      handle: async (ctx, { params }) => {
        refuseOthers(ctx)
        const key = { tenant_id: ctx.tenantId, type: params.type, record_id: params.id }
        await db.workerTransaction((tx) => dropDocuments(tx, [key]))
        return { status: 204 }
      },
    }),
    route({
      method: 'get',
      path: '/search/status',
      operationId: 'searchStatus',
      summary: 'What stands in the index, and how far it is behind',
      tag: 'search',
      responses: { 200: { description: 'The index of the tenant', schema: statusSchema } },
      handle: async (ctx) => {
        refuseOthers(ctx)
        const [counts, lanes, parked] = await Promise.all([
          countDocuments(db.tenant(ctx), types),
          readWaiting(db.worker),
          countParked(db.worker, ctx.tenantId),
        ])
        const documents = Object.fromEntries(counts.map(({ type, documents }) => [type, Math.min(documents, counted)]))
        const more = counts.some((row) => row.documents > counted) ? { documentsAreLowerBounds: true } : {}
        const since = (lane: number) => lanes.find((row) => row.lane === lane)?.since ?? null
        const waitingSince = { live: since(0), bulk: since(1) }
        return { status: 200, body: { engine: 'postgres', degraded: false, documents, ...more, waitingSince, parked } }
      },
    }),
  ]
}

const atOnce = 200
const counted = 10_000

function refuseOthers(ctx: Ctx): void {
  const { role } = ctx.rights
  if (role !== 'owner' && role !== 'admin') throw forbidden('Only owners and admins may look after the search index')
}

const moment = z.iso.datetime({ precision: 3 }).nullable()

const statusSchema = z
  .object({
    engine: z.enum(['elasticsearch', 'postgres']),
    degraded: z.boolean(),
    documents: z.record(z.string(), z.int()),
    documentsAreLowerBounds: z.literal(true).optional(),
    waitingSince: z
      .object({ live: moment, bulk: moment })
      .meta({ description: 'When the oldest change that is not indexed yet was made, in each lane' }),
    parked: z.int().meta({ description: 'Changes that could not be indexed and wait for an operator' }),
  })
  .register(sight, apart)
