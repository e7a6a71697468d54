import { z } from 'zod'
import type { Catalogue } from '../../events.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { type Entity, named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { notFound } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, printedPage, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { activitySchema } from './activity.ts'
import type { ActivityFilters } from './filters.ts'
import { fromSchema, toSchema } from './moment.ts'
import { asSeen, foundAsSeen } from './seen.ts'
import { statisticsRoute } from './statistics.routes.ts'
import {
  idsOfRecord,
  listActivities,
  listActivitiesUnder,
  type Place,
  type PrintedActivity,
  searchActivities,
} from './timeline.queries.ts'
import { visibilityOf } from './visibility.ts'

/** What the routes of the timeline stand on. */
export interface TimelineRoutesDeps {
  readonly db: Database
  readonly entities: ReadonlyMap<string, Entity>
  readonly catalogue: Catalogue
}

/** The calls of the timeline: everything, mine, of a record, by words, and counted. */
export function timelineRoutes(deps: TimelineRoutesDeps): Route[] {
  const { db, entities, catalogue } = deps
  const { whole, mine, ofRecord } = querySchemas(catalogue)
  const responses = { 200: { description: 'A page of activities, newest first', schema: pageOf(activitySchema) } }

  const page = (ctx: Ctx, list: string, query: PageQuery, more: ActivityFilters = {}): Promise<Answer> => {
    const { cursor, limit, ...filters } = query
    const all = { ...filters, ...more }
    const visibility = visibilityOf(ctx, catalogue)
    const tx = db.tenant(ctx)
    return answerPage(list, all, cursor, limit, async (after, size) =>
      asSeen(tx, entities, await listActivities(tx, visibility, all, after, size)),
    )
  }

  const pageOfRecord = async (ctx: Ctx, entityType: string, id: string, query: PageQuery): Promise<Answer> => {
    const tx = db.tenant(ctx)
    const entity = entities.get(entityType)
    const ids = entity ? await idsOfRecord(tx, entity, id) : null
    if (ids === null) throw notFound()
    if (ids.length === 1) return page(ctx, 'record', query, { entityType, entityId: id })
    const { cursor, limit, ...filters } = query
    const all = { ...filters, entityType, entityId: id }
    return answerPage('record', all, cursor, limit, async (after, size) =>
      asSeen(tx, entities, await listActivitiesUnder(tx, visibilityOf(ctx, catalogue), ids, all, after, size)),
    )
  }

  return [
    route({
      method: 'get',
      path: '/timeline',
      operationId: 'listActivities',
      summary: 'What was done, newest first',
      tag: 'timeline',
      query: whole,
      responses,
      handle: (ctx, { query }) => page(ctx, 'all', query),
    }),
    route({
      method: 'get',
      path: '/timeline/me',
      operationId: 'listMyActivities',
      summary: 'What I did, newest first',
      tag: 'timeline',
      query: mine,
      responses,
      handle: (ctx, { query }) => page(ctx, 'me', query, { actorId: ctx.actor.id ?? ctx.rights.userId }),
    }),
    route({
      method: 'get',
      path: '/timeline/search',
      operationId: 'searchActivities',
      summary: 'Activities by words of their description or of the name of the record, newest first',
      description: 'All words must occur; the last may be the beginning of one. Accents and case do not matter.',
      tag: 'timeline',
      query: whole.extend({ q: z.string().trim().min(1).max(200) }),
      responses,
      handle: (ctx, { query }) => {
        const { cursor, limit, q, ...filters } = query
        const visibility = visibilityOf(ctx, catalogue)
        const tx = db.tenant(ctx)
        return answerPage('search', { ...filters, q }, cursor, limit, (after, size) =>
          foundAsSeen(tx, entities, q, size, after, (place, rows) =>
            searchActivities(tx, visibility, q, filters, place, rows),
          ),
        )
      },
    }),
    statisticsRoute(deps),
    route({
      method: 'get',
      path: '/timeline/{entityType}/{entityId}',
      operationId: 'listActivitiesOfRecord',
      summary: 'What was done to a record, newest first; also to a deleted one',
      tag: 'timeline',
      params: z.object({ entityType: z.string(), entityId: idSchema }),
      query: ofRecord,
      responses,
      handle: (ctx, { params, query }) => pageOfRecord(ctx, params.entityType, params.entityId, query),
    }),
    ...[...entities.values()].map((entity) =>
      route({
        method: 'get',
        path: `/${entity.path}/{id}/timeline`,
        operationId: `list${named(entity.type)}Activities`,
        summary: `What was done to a ${entity.type.replaceAll('_', ' ')}, newest first; also to a deleted one`,
        tag: entity.path,
        params: z.object({ id: idSchema }),
        query: ofRecord,
        responses,
        handle: (ctx, { params, query }) => pageOfRecord(ctx, entity.type, params.id, query),
      }),
    ),
  ]
}

type PageQuery = ActivityFilters & { cursor?: string | undefined; limit?: number | undefined }

function querySchemas(catalogue: Catalogue) {
  const span = { from: fromSchema.optional(), to: toSchema.optional(), limit: limitSchema, cursor: cursorSchema }
  const ofRecord = z.strictObject({
    action: z.enum(catalogue.actions).optional(),
    actorId: idSchema.optional(),
    ...span,
  })
  const entityType = z.enum([...new Set([...catalogue.types, ...contractTypes])]).optional()
  return {
    ofRecord,
    whole: ofRecord.extend({ entityType }),
    mine: ofRecord.omit({ actorId: true }).extend({ entityType }),
  }
}

// The contract names these from the beginning; a filter for one whose records are still to come finds nothing.
const contractTypes = [
  'contact',
  'deal',
  'company',
  'lead',
  'task',
  'invoice',
  'email',
  'note',
  'file',
  'user',
  'system',
]

async function answerPage(
  list: string,
  filters: object,
  cursor: string | undefined,
  limit = 50,
  read: (after: Place | null, size: number) => Promise<PrintedActivity[]>,
): Promise<Answer> {
  const name = `timeline ${list} ${JSON.stringify(filters)}`
  const rows = await read(readPlace(cursor, name, placeSchema), limit + 1)
  return { status: 200, body: printedPage(paged(rows, limit, name, (last) => [last.occurredAt, last.id])) }
}

const placeSchema = timePlace.transform(({ createdAt, id }) => ({ occurredAt: createdAt, id }))
