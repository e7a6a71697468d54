import sql from 'sql-template-tag'
import { sleep } from '../../kernel/clock.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { RateCounter } from '../../kernel/http/rate-counter.ts'
import type { RateStore } from '../../kernel/http/rate-store.port.ts'
import { sweep } from '../../kernel/jobs/sweep.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'

/** What the settling of counts is made of. */
export interface LimitsDeps {
  readonly db: Database
  readonly log: Logger
  readonly counter: RateCounter
  readonly store: RateStore
}

const every = 1_000

/** A database that is merely busy is not gone. */
const patience = 5_000

/** Settles with the other processes every second how many calls there were. While the store is gone each counts alone. */
export function limitsModule({ db, log, counter, store }: LimitsDeps): Module {
  const stopping = new AbortController()
  let alone = false
  let running: Promise<void> = Promise.resolve()

  const settle = async (): Promise<void> => {
    const { minute, counts } = counter.take()
    if (counts.length === 0) return
    try {
      counter.know(minute, await within(patience, store.add(minute, counts)))
      if (alone) log.info('calls are counted together with the other processes again')
      alone = false
    } catch (error) {
      counter.giveBack(minute, counts)
      if (!alone)
        log.warn({ err: error }, 'calls are counted by each process alone: the store of counts does not answer')
      alone = true
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await settle()
      await sleep(every, stopping.signal).catch(() => {})
    }
  }

  return {
    name: 'rateLimits',
    start: async () => {
      running = run()
    },
    stop: async () => {
      stopping.abort()
      await running
      await store.close()
    },
    health: () => ({ status: alone ? 'degraded' : 'up' }),
    schedules: [
      // Of minutes that are over, as every process sees them.
      sweep(
        db,
        { name: 'rate-counts.expire', cron: '*/5 * * * *' },
        { counts: { table: 'rate_counts', where: sql`minute < extract(epoch from now()) / 60 - 3` } },
      ),
    ],
  }
}

/** A store that hangs is one that is gone. */
function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  const late = sleep(milliseconds).then(() => {
    throw new Error('the store of counts took too long')
  })
  return Promise.race([work, late])
}
