import sql from 'sql-template-tag'
import type { Database } from './db/database.ts'
import type { Subscriptions } from './events/subscriptions.ts'

/** A number that is read when the metrics are asked for. */
export interface Reading {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  read(): Promise<readonly { value: number; labels?: Record<string, string> }[]>
}

/** What the kernel shows of itself: how far each subscription lags, what is parked, what fails. */
export function createMetricReadings(db: Database, subscriptions: Subscriptions): Reading[] {
  return [
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
