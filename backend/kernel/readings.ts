import sql from 'sql-template-tag'
import type { Postgres } from './db/postgres.ts'
import type { Subscriptions } from './events/subscriptions.ts'
import type { Reading } from './module.ts'

/**
 * What the kernel shows of itself: how its pools are filled, how far each subscription lags, what is parked,
 * what fails.
 */
export function createMetricReadings(db: Postgres, subscriptions: Subscriptions): Reading[] {
  const pools = { app: db.app, worker: db.workers }
  return [
    {
      name: 'clientforge_pool_connections',
      help: 'Connections of a pool: those in use, those at rest, and requests that wait for one',
      labels: ['pool', 'state'],
      read: async () =>
        Object.entries(pools).flatMap(([pool, { totalCount, idleCount, waitingCount }]) => [
          { value: totalCount - idleCount, labels: { pool, state: 'used' } },
          { value: idleCount, labels: { pool, state: 'idle' } },
          { value: waitingCount, labels: { pool, state: 'waiting' } },
        ]),
    },
    {
      name: 'clientforge_subscription_lag_events',
      help: 'Events that a subscription has yet to handle, counted to 10,000',
      labels: ['subscription', 'lane'],
      read: async () =>
        (
          await db.worker.query(sql`
            select c.subscription, c.lane, (select count(*) from (select 1 from events e
              where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq) limit 10000) behind)::integer as value
            from event_cursors c`)
        ).map((row) => ({
          value: row.value,
          labels: { subscription: row.subscription, lane: row.lane === 0 ? 'live' : 'bulk' },
        })),
    },
    {
      name: 'clientforge_parked_events',
      help: 'Events that wait for an operator',
      labels: ['subscription'],
      read: async () =>
        (await db.worker.query(sql`select subscription, count(*)::integer as value from parked_events group by 1`)).map(
          (row) => ({
            value: row.value,
            labels: { subscription: row.subscription },
          }),
        ),
    },
    {
      name: 'clientforge_subscription_failing',
      help: 'Attempts since the last success of a subscription that this process leads',
      labels: ['subscription', 'lane'],
      read: async () =>
        subscriptions.states.map((state) => ({
          value: state.failing?.attempts ?? 0,
          labels: { subscription: state.subscription, lane: state.lane },
        })),
    },
  ]
}
