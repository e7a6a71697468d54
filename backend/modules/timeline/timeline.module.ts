import sql from 'sql-template-tag'
import type { Catalogue } from '../../events.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { timelineSubscription } from './recorder.ts'
import { timelineRoutes } from './timeline.routes.ts'

/** The audit trail: every change of every record, who made it and when; read-only for everybody. */
export function timelineModule(deps: {
  db: Database
  log: Logger
  entities: ReadonlyMap<string, Entity>
  catalogue: Catalogue
}): Module {
  const { db } = deps
  const makePartitions = async (): Promise<void> => {
    await db.worker.query(sql`select make_activity_partitions(2)`)
  }
  return {
    name: 'timeline',
    routes: timelineRoutes(deps),
    subscriptions: [timelineSubscription(deps)],
    start: makePartitions,
    schedules: [
      {
        name: 'timeline.make-months',
        queue: 'cleanup',
        cron: '25 * * * *',
        run: async ({ dryRun }) => {
          if (!dryRun) await makePartitions()
          return {}
        },
      },
    ],
  }
}
