import sql from 'sql-template-tag'
import type { Database } from './db/database.ts'
import type { Direct } from './db/direct.ts'
import type { Logger } from './log.ts'
import type { Module } from './module.ts'

const hourly = 3_600_000
const daysAhead = 7
/** Days of events that stay although every cursor is past them: replays of sockets, and a look back. */
const keepDays = 7

export interface Maintenance {
  /** Makes the partitions that the first write needs. */
  prepare(): Promise<void>
  start(): void
  stop(): Promise<void>
}

/** The hourly round, by whichever process holds its lock: partitions made and dropped, and what modules ask for. */
export function createMaintenance(
  deps: { db: Database; direct: Direct; log: Logger },
  modules: readonly Module[],
): Maintenance {
  const { db, direct, log } = deps
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  const lock = 'clientforge.maintenance'

  const round = async (): Promise<void> => {
    if (!direct.connected || !(await direct.tryLock(lock))) return
    try {
      await step('event partitions are made', () => db.worker.query(sql`select make_event_partitions(${daysAhead})`))
      await step('old event partitions are dropped', dropDays)
      for (const module of modules)
        if (module.maintain) await step(`${module.name} is maintained`, () => module.maintain?.())
    } finally {
      await direct.release(lock)
    }
  }
  const dropDays = async (): Promise<void> => {
    for (let dropped = true; dropped; ) {
      const [row] = await db.worker.query(sql`select drop_event_partition(${keepDays}) as day`)
      dropped = row?.day != null
    }
  }
  const step = async (what: string, work: () => Promise<unknown> | undefined): Promise<void> => {
    try {
      await work()
      log.debug({ step: what }, 'maintenance')
    } catch (error) {
      log.error({ err: error, step: what }, 'a step of the maintenance failed; it is tried again within the hour')
    }
  }
  const guarded = (): void => {
    running = round().catch((error) =>
      log.error({ err: error }, 'the maintenance failed; it is tried again within the hour'),
    )
  }
  return {
    prepare: async () => void (await db.worker.query(sql`select make_event_partitions(${daysAhead})`)),
    start: () => {
      guarded()
      timer = setInterval(guarded, hourly)
    },
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
