import type { ConnectedDatabase } from '../../kernel/db/connect.ts'
import { listParked, type Subscriptions } from '../../kernel/events/subscriptions.ts'
import type { RunningTail } from '../../kernel/events/tail.ts'
import type { Module } from '../../kernel/module.ts'
import type { Part } from './health.module.ts'

/** The parts of the house that are asked how they are: what everything stands on, and each module that has something to say. */
export const partsOf = (deps: {
  database: ConnectedDatabase
  tail: RunningTail
  subscriptions: Subscriptions
  modules: readonly Module[]
}): Part[] => {
  const { database, tail, subscriptions, modules } = deps
  return [
    { name: 'database', health: () => database.health() },
    {
      name: 'eventLog',
      health: async () => ({
        status: tail.healthy ? 'up' : 'degraded',
        detail: {
          heldBackBy: await database.horizonHolder(),
          parked: (await listParked(database.db.worker, null, 1_000)).length,
        },
      }),
    },
    { name: 'subscriptions', health: () => subscriptions.health() },
    ...modules.flatMap((module) =>
      module.health ? [{ name: module.name, health: () => module.health?.() ?? { status: 'up' as const } }] : [],
    ),
  ]
}
