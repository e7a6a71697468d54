import type { Database } from '../db/database.ts'
import type { Direct } from '../db/direct.ts'
import type { Logger } from '../log.ts'
import type { Health } from '../module.ts'
import { listParked, noteFailure, type Parked, unpark } from './cursors.ts'
import { readAt } from './log.ts'
import { createRunner, type RunnerState } from './runner.ts'
import type { Subscription } from './subscription.ts'
import type { Wake } from './wake.ts'

/** All subscriptions of the process, in both lanes. */
export interface Subscriptions {
  readonly states: readonly RunnerState[]
  /** Degraded while one of them fails: what it has to do waits, and nothing else. */
  health(): Health
  start(): void
  stop(): Promise<void>
}

/** Makes a runner for each subscription and lane. */
export function createSubscriptions(
  deps: { db: Database; direct: Direct; wake: Wake; log: Logger },
  subscriptions: readonly Subscription[],
): Subscriptions {
  const runners = subscriptions.flatMap((subscription) => [
    createRunner(deps, subscription, 'live'),
    createRunner(deps, subscription, 'bulk'),
  ])
  return {
    get states() {
      return runners.map((runner) => runner.state)
    },
    health: () => {
      const failing = runners.map((runner) => runner.state).filter((state) => state.failing !== null)
      return {
        status: failing.length > 0 ? 'degraded' : 'up',
        detail: {
          leading: runners.filter((runner) => runner.state.leading).length,
          failing: failing.map(({ subscription, lane, failing }) => ({
            subscription,
            lane,
            since: failing?.since,
            attempts: failing?.attempts,
          })),
        },
      }
    },
    start: () => {
      for (const runner of runners) runner.start()
    },
    stop: async () => {
      await Promise.all(runners.map((runner) => runner.stop()))
    },
  }
}

/** Gives a parked event to its subscription again: digested and taken away in one transaction, or parked anew. Throws when it is gone. */
export async function replay(
  db: Database,
  subscriptions: readonly Subscription[],
  parked: Parked,
): Promise<{ digested: boolean; error?: unknown }> {
  const subscription = subscriptions.find((item) => item.name === parked.subscription)
  if (!subscription) throw new Error(`there is no subscription named ${parked.subscription}`)
  const event = await readAt(db.worker, parked.tenantId, parked)
  if (!event) throw new Error(`the event ${parked.eventId} is no longer in the log`)
  try {
    const prepared = await subscription.prepare([event])
    await db.workerTransaction(async (tx) => {
      // Before `apply`: who replays it at the same time waits here for our commit, and then finds it gone.
      if (!(await unpark(tx, parked))) throw new Gone(`the event ${parked.eventId} is no longer parked`)
      await subscription.apply?.(tx, prepared)
    })
    return { digested: true }
  } catch (error) {
    if (error instanceof Gone) throw error
    await noteFailure(db.worker, parked, error)
    return { digested: false, error }
  }
}

/** Somebody else has replayed it. */
class Gone extends Error {
  // An error with a code leaves the connection its place in the pool.
  readonly code = 'ROLLED_BACK'
}

export { listParked }
