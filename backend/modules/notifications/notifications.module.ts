import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { notFound } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { markRead } from './notification.actions.ts'
import { countUnread } from './notification.queries.ts'
import { notificationRoutes } from './notification.routes.ts'
import type { Notification } from './notification.ts'
import { notifierSubscription, type RightsOf } from './notifier.ts'
import { inboxSchedules } from './upkeep.ts'

/** What others than its own routes do with an inbox: the sockets. */
export interface Inbox {
  unreadCount(ctx: Ctx): Promise<number>
  /** Throws 404 when it is not there or somebody else's. */
  markRead(ctx: Ctx, id: string): Promise<Notification>
}

/** The inbox: people are told what concerns them, by rules. */
export function notificationsModule(deps: {
  db: Database
  log: Logger
  entities: ReadonlyMap<string, Entity>
  rightsOf: RightsOf
}): {
  module: Module
  inbox: Inbox
} {
  const { db, entities } = deps
  const inbox = { db, entities }
  return {
    module: {
      name: 'notifications',
      routes: notificationRoutes(inbox),
      subscriptions: [notifierSubscription(deps)],
      schedules: inboxSchedules(db, entities),
    },
    inbox: {
      unreadCount: (ctx) => countUnread(db.tenant(ctx)),
      markRead: async (ctx, id) => {
        if (!isId(id)) throw notFound()
        return markRead(inbox, ctx, id)
      },
    },
  }
}
