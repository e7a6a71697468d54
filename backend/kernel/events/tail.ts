import type { WorkerTx } from '../db/database.ts'
import type { Logger } from '../log.ts'
import type { DomainEvent, Position } from './event.ts'
import { readBetween, readHorizon, readSince } from './log.ts'
import type { Tail } from './tail.port.ts'
import type { Wake } from './wake.ts'

/** A tail with a start and an end. */
export interface RunningTail extends Tail {
  start(): Promise<void>
  stop(): Promise<void>
  /** Whether the last look at the log succeeded. */
  readonly healthy: boolean
}

/** Follows the log from the start of the process on, with a cursor in memory. */
export function createTail(db: WorkerTx, wake: Wake, log: Logger): RunningTail {
  const listeners: ((events: readonly DomainEvent[]) => void)[] = []
  let position: Position = { tx: '0', seq: '0' }
  let looking: Promise<void> | null = null
  let again = false
  let stopped = true
  let healthy = true

  const look = async (): Promise<void> => {
    try {
      do {
        again = false
        const horizon = await readHorizon(db)
        // Nothing of ours can be below a horizon that has not passed the cursor; but who woke us meanwhile may have moved it.
        if (BigInt(horizon) <= BigInt(position.tx)) continue
        const { events, upTo } = await readBetween(db, position, horizon, stretch)
        // No later event can have a transaction below the horizon, so the cursor may stand there.
        position = upTo ?? { tx: String(BigInt(horizon) - 1n), seq: maxSeq }
        if (upTo) again = true
        if (events.length > 0) tell(events)
      } while (again && !stopped)
      if (!healthy) log.info('the tail of the event log moves again')
      healthy = true
    } catch (error) {
      if (healthy && !stopped) log.warn({ err: error }, 'the tail of the event log stands still')
      healthy = false
    } finally {
      looking = null
    }
  }

  const tell = (events: readonly DomainEvent[]): void => {
    for (const listener of listeners) {
      try {
        listener(events)
      } catch (error) {
        log.error({ err: error }, 'a listener of the tail failed; the others were told')
      }
    }
  }

  return {
    get healthy() {
      return healthy
    },
    listen: (listener) => void listeners.push(listener),
    since: (tenantId, moment, limit) => readSince(db, tenantId, moment, limit),
    start: async () => {
      position = { tx: String(BigInt(await readHorizon(db)) - 1n), seq: maxSeq }
      stopped = false
      wake.on(() => {
        again = true
        if (!stopped) looking ??= look()
      })
    },
    stop: async () => {
      stopped = true
      await looking
    },
  }
}

/** Events of a lane that are read at once: after an outage the whole backlog would fill the memory. */
const stretch = 5_000
const maxSeq = '9223372036854775807'
