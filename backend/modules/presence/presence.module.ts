import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { forbidden } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { listOnline } from './presence.queries.ts'
import { createPresence, type Presence } from './presence.ts'

/** Who is online: at which process soever, as long as it is there. */
export function presenceModule(deps: { db: Database; log: Logger; woken(): void }): {
  module: Module
  presence: Presence
} {
  const presence = createPresence(deps)
  return {
    presence,
    module: { name: 'presence', routes: [onlineRoute(deps.db)], start: presence.start, stop: presence.stop },
  }
}

const onlineSchema = z
  .object({ userId: z.uuid(), since: z.iso.datetime({ precision: 3 }) })
  .meta({
    id: 'Online',
    example: { userId: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77', since: '2026-11-21T08:00:00.000Z' },
  })
  .register(sight, apart)

const onlineRoute = (db: Database): Route =>
  route({
    method: 'get',
    path: '/presence',
    operationId: 'listOnline',
    summary: 'Who of your tenant is online',
    description: 'Online is who has a socket open. Sockets that follow `user` hear `presence:changed`.',
    tag: 'users',
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    responses: { 200: { description: 'A page of users, by id', schema: pageOf(onlineSchema) } },
    handle: async (ctx, { query: { limit = 50, cursor } }) => {
      if (ctx.rights.scope('user', 'read') === 'none') throw forbidden('Your role may not see who is online')
      const list = `online ${ctx.tenantId}`
      const [after = null] = readPlace(cursor, list, z.tuple([idSchema])) ?? []
      const rows = await listOnline(db.worker, ctx.tenantId, after, limit + 1)
      return { status: 200, body: paged(rows, limit, list, ({ userId }) => [userId]) }
    },
  })
