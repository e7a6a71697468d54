import type { Express } from 'express'
import { createDashboard } from '../../adapters/jobs/dashboard.ts'
import type { JobEngine } from '../../adapters/jobs/jobs.port.ts'
import type { QueueName, Schedule } from '../../kernel/jobs/job.ts'
import type { Module } from '../../kernel/module.ts'
import { type DashboardPages, dashboardPath, mountDashboard, signOutPath } from './dashboard.ts'
import { queueRoutes } from './queues.routes.ts'
import { scheduleRoutes } from './schedules.routes.ts'

/** What the module is built of. */
export interface PlatformOptions extends Omit<DashboardPages, 'board'> {
  readonly engine: JobEngine
  readonly schedules: readonly Schedule[]
  /** Removes completed jobs that ended so many milliseconds ago, but none whose event may be delivered again. */
  cleanCompleted(queue: QueueName, olderThan: number): Promise<number>
}

/** A module that has pages outside of `/api/v1` too. */
export interface PlatformModule extends Module {
  mount(app: Express): void
}

/** What whoever runs the installation sees and does: the queues, by calls and on a page. */
export function platformModule({ engine, schedules, cleanCompleted, ...pages }: PlatformOptions): PlatformModule {
  const { log } = pages
  const board = () => createDashboard(engine, dashboardPath, signOutPath)
  return {
    name: 'platform',
    routes: [...scheduleRoutes({ engine, schedules, log }), ...queueRoutes({ engine, cleanCompleted, log })],
    mount: (app) => mountDashboard(app, { board, ...pages }),
  }
}
