import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { notFound } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import {
  type InboxDeps,
  markAllRead,
  markRead,
  markUnread,
  remove,
  removeSeveral,
  snooze,
} from './notification.actions.ts'
import { countUnread, findEntry, type InboxFilters, listEntries } from './notification.queries.ts'
import { notificationSchema } from './notification.ts'
import { asSeen, oneAsSeen } from './seen.ts'

/** The calls of the inbox, under both of their paths. */
export function notificationRoutes(deps: InboxDeps): Route[] {
  return [...routesUnder('/notifications', '', deps), ...routesUnder('/users/me/notifications', 'My', deps)]
}

function routesUnder(path: string, my: string, deps: InboxDeps): Route[] {
  const { db, entities } = deps
  const tag = 'notifications'
  const params = z.object({ id: idSchema })
  const one = { description: 'The notification', schema: notificationSchema }
  return [
    route({
      method: 'get',
      path,
      operationId: `list${my}Notifications`,
      summary: 'My notifications, newest first',
      tag,
      query: listSchema,
      responses: { 200: { description: 'A page of notifications, and how many are unread', schema: inboxSchema } },
      handle: (ctx, { query }) => answerList(deps, ctx, query),
    }),
    route({
      method: 'get',
      path: `${path}/unread-count`,
      operationId: `count${my}UnreadNotifications`,
      summary: 'How many of my notifications are unread',
      tag,
      responses: {
        200: { description: 'The number', schema: z.object({ unreadCount: z.int() }).register(sight, apart) },
      },
      handle: async (ctx) => ({ status: 200, body: { unreadCount: await countUnread(db.tenant(ctx)) } }),
    }),
    route({
      method: 'post',
      path: `${path}/mark-all-read`,
      operationId: `mark${my}AllNotificationsRead`,
      summary: 'Mark all that are listed read',
      description: 'What is snoozed stays unread.',
      tag,
      responses: {
        200: { description: 'How many were unread', schema: z.object({ updated: z.int() }).register(sight, apart) },
      },
      handle: async (ctx) => ({ status: 200, body: { updated: await markAllRead(deps, ctx) } }),
    }),
    route({
      method: 'delete',
      path,
      operationId: `delete${my}Notifications`,
      summary: 'Delete several of my notifications',
      description: 'Ids of notifications that are not there or not mine are passed over.',
      tag,
      body: z.strictObject({ ids: z.array(idSchema).min(1).max(1000) }),
      responses: {
        200: { description: 'How many were deleted', schema: z.object({ deleted: z.int() }).register(sight, apart) },
      },
      handle: async (ctx, { body }) => ({ status: 200, body: { deleted: await removeSeveral(deps, ctx, body.ids) } }),
    }),
    route({
      method: 'get',
      path: `${path}/{id}`,
      operationId: `get${my}Notification`,
      summary: 'Read one of my notifications',
      tag,
      params,
      responses: { 200: one },
      handle: async (ctx, { params }) => {
        const tx = db.tenant(ctx)
        const entry = await findEntry(tx, params.id)
        if (!entry) throw notFound()
        return { status: 200, body: await oneAsSeen(tx, entities, entry) }
      },
    }),
    route({
      method: 'patch',
      path: `${path}/{id}/read`,
      operationId: `mark${my}NotificationRead`,
      summary: 'Mark one of my notifications read',
      tag,
      params,
      responses: { 200: one },
      handle: async (ctx, { params }) => ({ status: 200, body: await markRead(deps, ctx, params.id) }),
    }),
    route({
      method: 'patch',
      path: `${path}/{id}/unread`,
      operationId: `mark${my}NotificationUnread`,
      summary: 'Mark one of my notifications unread',
      tag,
      params,
      responses: { 200: one },
      handle: async (ctx, { params }) => ({ status: 200, body: await markUnread(deps, ctx, params.id) }),
    }),
    route({
      method: 'post',
      path: `${path}/{id}/snooze`,
      operationId: `snooze${my}Notification`,
      summary: 'Take one of my notifications out of the list and the count until a time',
      tag,
      params,
      body: z.strictObject({ until: untilSchema }),
      responses: { 200: one },
      handle: async (ctx, { params, body }) => ({ status: 200, body: await snooze(deps, ctx, params.id, body.until) }),
    }),
    route({
      method: 'delete',
      path: `${path}/{id}`,
      operationId: `delete${my}Notification`,
      summary: 'Delete one of my notifications',
      tag,
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      handle: async (ctx, { params }) => {
        await remove(deps, ctx, params.id)
        return { status: 204 }
      },
    }),
  ]
}

const listSchema = z.strictObject({
  unreadOnly: z
    .enum(['true', 'false'], { error: 'must be true or false' })
    .transform((value) => value === 'true')
    .meta({ type: 'boolean', default: false })
    .optional(),
  type: z
    .string()
    .max(100)
    .regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/i, 'must be a type of notification such as deal.won')
    .optional(),
  priority: z.enum(['low', 'normal', 'high', 'urgent']).optional(),
  limit: limitSchema,
  cursor: cursorSchema,
})

const inboxSchema = z.object({
  data: z.array(notificationSchema),
  page: z.object({ limit: z.int(), nextCursor: z.string().nullable() }).register(sight, apart),
  unreadCount: z.int().register(sight, apart),
})

const untilSchema = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time' })
  .transform((text) => new Date(text))
  .refine((until) => until.getTime() > Date.now(), { message: 'must be a time to come' })
  .refine((until) => until.getUTCFullYear() <= 9999, { message: 'must be before the year 10000' })
  .transform((until) => until.toISOString())
  .meta({ type: 'string', format: 'date-time' })

async function answerList({ db, entities }: InboxDeps, ctx: Ctx, query: z.output<typeof listSchema>): Promise<Answer> {
  const { cursor, limit = 50, ...filters } = query
  const list = `notifications ${JSON.stringify(filters satisfies InboxFilters)}`
  const after = readPlace(cursor, list, timePlace)
  const tx = db.tenant(ctx)
  const [entries, unreadCount] = await Promise.all([listEntries(tx, filters, after, limit + 1), countUnread(tx)])
  const page = paged(await asSeen(tx, entities, entries), limit, list, (last) => [last.createdAt, last.id])
  return { status: 200, body: { ...page, unreadCount } }
}
