import { sleep } from '../clock.ts'
import type { Lane } from '../context.ts'
import type { Database } from '../db/database.ts'
import type { Direct } from '../db/direct.ts'
import { frugally } from '../frugal.ts'
import type { Logger } from '../log.ts'
import { matches } from './bus.ts'
import { moveCursor, park, readCursor } from './cursors.ts'
import type { DomainEvent, Position } from './event.ts'
import { type Bad, findBad } from './isolate.ts'
import { readAfter } from './log.ts'
import type { Subscription } from './subscription.ts'
import type { Wake } from './wake.ts'

const batchSize = 500
const pagesForWitness = 20
const takeoverEvery = 3_000
const longestPause = 30_000

/** One subscription in one lane: its state as health and metrics show it. */
export interface RunnerState {
  readonly subscription: string
  readonly lane: Lane
  /** Whether this process holds the leadership. */
  readonly leading: boolean
  readonly failing: { readonly since: Date; readonly attempts: number; readonly error: string } | null
}

/** A loop that feeds one subscription from one lane while this process leads it. */
export interface Runner {
  readonly state: RunnerState
  start(): void
  stop(): Promise<void>
}

/** Makes the runner of a subscription in a lane. Leadership is a session advisory lock, never a row lock. */
export function createRunner(
  deps: { db: Database; direct: Direct; wake: Wake; log: Logger },
  subscription: Subscription,
  lane: Lane,
): Runner {
  const { db, direct, wake, log } = deps
  const lock = `clientforge.subscription.${subscription.name}.${lane}`
  const stop = new AbortController()
  let leading = false
  let failing: { since: Date; attempts: number; error: string } | null = null
  let loop: Promise<void> = Promise.resolve()
  let wakeUp: () => void = () => {}
  let woken = false
  let batch = batchSize
  let tried = 0
  direct.onLost(() => {
    leading = false
  })
  wake.on(() => {
    woken = true
    wakeUp()
  })

  const pause = async (milliseconds: number): Promise<void> => {
    if (woken || stop.signal.aborted) return
    const timer = setTimeout(() => wakeUp(), milliseconds)
    await new Promise<void>((resolve) => {
      wakeUp = resolve
    })
    clearTimeout(timer)
  }

  const run = async (): Promise<void> => {
    let cursor: Position | null = null
    let nextTry = 0
    while (!stop.signal.aborted) {
      if (!leading) {
        cursor = null
        failing = null
        if (Date.now() >= nextTry) {
          nextTry = Date.now() + takeoverEvery
          leading = direct.connected && (await direct.tryLock(lock).catch(() => false))
        }
        if (!leading) {
          await sleep(Math.max(50, nextTry - Date.now()), stop.signal).catch(() => {})
          continue
        }
        log.debug({ subscription: subscription.name, lane }, 'leading')
      }
      woken = false
      try {
        cursor ??= await readCursor(db.worker, subscription.name, lane)
        tried = 0
        const from: Position = cursor
        const moved = lane === 'bulk' ? await frugally(() => step(from)) : await step(from)
        if (failing) log.info({ subscription: subscription.name, lane }, 'the subscription works again')
        failing = null
        batch = Math.min(batchSize, batch * 2)
        if (moved === 'lost') cursor = null
        else if (moved) cursor = moved
        else await pause(60_000)
      } catch (error) {
        cursor = null
        const message = error instanceof Error ? error.message : String(error)
        failing = { since: failing?.since ?? new Date(), attempts: (failing?.attempts ?? 0) + 1, error: message }
        if (!stop.signal.aborted) {
          log.warn(
            { err: error, subscription: subscription.name, lane, attempts: failing.attempts },
            'a batch failed and will be tried again',
          )
        }
        // Events that only fail together, or that take too long together, pass in smaller batches.
        if (failing.attempts > 1 && tried > 1) batch = tried >> 1
        await sleep(backoff(failing.attempts), stop.signal).catch(() => {})
      }
    }
    if (leading && direct.connected)
      await direct.release(lock).catch((error) => log.debug({ err: error }, 'a lock ended with its session'))
    leading = false
  }

  /** Handles what is next: the new cursor, `lost` when another was faster, null when nothing is there. */
  const step = async (cursor: Position): Promise<Position | 'lost' | null> => {
    const events = await readAfter(db.worker, lane, cursor, batchSize, subscription.patterns)
    const portion = events.slice(0, batch)
    const end = portion.at(-1)
    if (!end) return null
    tried = portion.length
    try {
      const to: Position = { tx: end.tx, seq: end.seq }
      return (await digest(wantedOf(portion), [], cursor, to)) ? to : 'lost'
    } catch (error) {
      // The first failure may be a blip; from the second on look for the event that causes it.
      const { wanted, to } = await withWitness(events, failing === null ? 0 : pagesForWitness)
      const bad = await findBad(wanted, error, probe, failing?.attempts ?? 0)
      if (bad.length === 0 || !to) throw error
      const good = wanted.filter((event) => !bad.some((item) => item.event === event))
      if (!(await digest(good, bad, cursor, to))) return 'lost'
      for (const { event, error } of bad) {
        log.error(
          {
            err: error,
            subscription: subscription.name,
            event: event.name,
            eventId: event.id,
            tenantId: event.tenantId,
          },
          'an event was parked',
        )
      }
      return to
    }
  }

  /**
   * What is wanted of the events and, when that is one alone, of those that follow: beside nothing else a bad event looks
   * like an outage, and would hold up all that stand behind events which nobody here wants.
   */
  const withWitness = async (
    events: readonly DomainEvent[],
    pages: number,
  ): Promise<{ wanted: DomainEvent[]; to: Position | undefined }> => {
    const wanted = wantedOf(events)
    let page = events
    let last = events.at(-1)
    for (let read = 0; read < pages && last && page.length === batchSize && wanted.length < 2; read++) {
      page = await readAfter(db.worker, lane, last, batchSize, subscription.patterns)
      wanted.push(...wantedOf(page))
      last = page.at(-1) ?? last
    }
    return { wanted, to: last && { tx: last.tx, seq: last.seq } }
  }

  const wantedOf = (events: readonly DomainEvent[]): DomainEvent[] =>
    events.filter((event) => subscription.patterns.some((pattern) => matches(pattern, event.name)))

  const digest = async (
    events: readonly DomainEvent[],
    bad: readonly Bad[],
    from: Position,
    to: Position,
  ): Promise<boolean> => {
    const prepared = events.length > 0 ? await subscription.prepare(events) : undefined
    try {
      await db.workerTransaction(async (tx) => {
        if (events.length > 0) await subscription.apply?.(tx, prepared)
        for (const { event, error } of bad) await park(tx, subscription.name, event, error)
        if (!(await moveCursor(tx, subscription.name, lane, from, to))) throw new Overtaken()
      })
      if (subscription.appends && events.length > 0) wake.committed()
      return true
    } catch (error) {
      if (error instanceof Overtaken) return false
      throw error
    }
  }

  /** Whether events would be digested: done and rolled back. What acts outside is harmless when repeated. */
  const probe = async (events: readonly DomainEvent[]): Promise<void> => {
    const prepared = await subscription.prepare(events)
    if (!subscription.apply) return
    try {
      await db.workerTransaction(async (tx) => {
        await subscription.apply?.(tx, prepared)
        throw new Overtaken()
      })
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error
    }
  }

  return {
    get state() {
      return { subscription: subscription.name, lane, leading, failing }
    },
    start: () => {
      loop = run()
    },
    stop: async () => {
      stop.abort()
      wakeUp()
      await loop
    },
  }
}

/** Rolls a transaction back that nobody needs. */
class Overtaken extends Error {
  // An error with a code leaves the connection its place in the pool.
  readonly code = 'ROLLED_BACK'
}

const backoff = (attempts: number): number =>
  Math.min(longestPause, 100 * 2 ** Math.min(attempts - 1, 12)) * (0.75 + Math.random() / 2)
