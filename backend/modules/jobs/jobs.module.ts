import type { JobEngine, RateLimit } from '../../adapters/jobs/jobs.port.ts'
import { HandedBack, jobStates } from '../../adapters/jobs/jobs.port.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Job, QueueName, Schedule } from '../../kernel/jobs/job.ts'
import { queueNames } from '../../kernel/jobs/job.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { jobsSubscription } from './enqueuer.ts'
import { createPerformer } from './performer.ts'

/** How much of a queue one process does at once, and how fast all together may. */
const settings: Readonly<Record<QueueName, { concurrency: number; limit?: RateLimit }>> = {
  email: { concurrency: 10, limit: { max: 100, duration: 60_000 } },
  sms: { concurrency: 10, limit: { max: 10, duration: 1_000 } },
  push: { concurrency: 10 },
  notifications: { concurrency: 10 },
  reports: { concurrency: 2 },
  imports: { concurrency: 2 },
  exports: { concurrency: 2 },
  cleanup: { concurrency: 1 },
  webhooks: { concurrency: 10 },
}

/** Jobs that are under way when the process stops have so long to end, milliseconds. */
const patience = 5_000

/** All slow and outside work: events ask for it, processes that are not only `web` do it. */
export function jobsModule(deps: {
  engine: JobEngine
  db: Database
  log: Logger
  jobs: readonly Job[]
  schedules: readonly Schedule[]
  /** Whether this process does jobs. */
  working: boolean
}): Module {
  const { engine, log, jobs, schedules } = deps
  refuseTwins([...jobs, ...schedules].map(({ name }) => name))
  const stopping = new AbortController()
  const perform = createPerformer({ jobs, schedules, stopping: stopping.signal, log })
  const used = queueNames.filter((queue) => [...jobs, ...schedules].some((each) => each.queue === queue))
  return {
    name: 'jobs',
    subscriptions: jobs.length > 0 ? [jobsSubscription(deps)] : [],
    readings: [
      {
        name: 'clientforge_jobs',
        help: 'Jobs of a queue by their state',
        labels: ['queue', 'state'],
        read: async () => {
          const counts = await Promise.all(used.map(async (queue) => ({ queue, counts: await engine.counts(queue) })))
          return counts.flatMap(({ queue, counts }) =>
            jobStates.map((state) => ({ value: counts[state], labels: { queue, state } })),
          )
        },
      },
    ],
    start: async () => {
      if (!deps.working) return
      for (const queue of used) {
        await engine.schedule(queue, schedules.filter((each) => each.queue === queue).map(standing))
        engine.work(queue, settings[queue], perform)
      }
    },
    stop: async () => {
      stopping.abort(new HandedBack('the process stops'))
      await engine.close(patience)
    },
    health: () => engine.health(),
  }
}

const standing = ({ name, cron, timezone = 'UTC' }: Schedule) => ({ name, cron, timezone })

function refuseTwins(names: readonly string[]): void {
  const twin = names.find((name, index) => names.indexOf(name) !== index)
  if (twin !== undefined) throw new Error(`two jobs or schedules are named ${twin}`)
}
