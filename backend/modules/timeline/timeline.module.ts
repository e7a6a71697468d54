import type { Catalogue } from '../../events.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { makeMonths, monthSchedules } from './months.ts'
import { timelineSubscription } from './recorder.ts'
import { timelineRoutes } from './timeline.routes.ts'

/** The audit trail: every change of every record, who made it and when; read-only for everybody. */
export function timelineModule(deps: {
  db: Database
  log: Logger
  entities: ReadonlyMap<string, Entity>
  catalogue: Catalogue
  /** For how many full months an activity stays at least; for ever when undefined. */
  keepMonths: number | undefined
}): Module {
  const { db, keepMonths } = deps
  return {
    name: 'timeline',
    routes: timelineRoutes(deps),
    subscriptions: [timelineSubscription(deps)],
    start: () => makeMonths(db),
    schedules: monthSchedules(db, keepMonths),
  }
}
