import sql from 'sql-template-tag'
import type { Lane } from '../context.ts'
import type { WorkerTx } from '../db/database.ts'
import { named } from '../db/plan.ts'
import { laneNumber } from './append.ts'
import type { DomainEvent, Position } from './event.ts'

/** Where a subscription stands in a lane; a new one stands at the beginning of the log. */
export async function readCursor(db: WorkerTx, subscription: string, lane: Lane): Promise<Position> {
  await db.query(sql`
    insert into event_cursors (subscription, lane, tx, seq) values (${subscription}, ${laneNumber(lane)}, '0', 0)
    on conflict do nothing`)
  const rows = await db.query<{ tx: string; seq: string }>(sql`
    select tx::text as tx, seq::text as seq from event_cursors
    where subscription = ${subscription} and lane = ${laneNumber(lane)}`)
  const [cursor] = rows
  if (!cursor) throw new Error(`the cursor of ${subscription} is gone`)
  return cursor
}

/**
 * Moves a cursor by compare-and-set, in the transaction of what was done. False when another runner was faster: then
 * this transaction must roll back.
 */
export async function moveCursor(
  tx: WorkerTx,
  subscription: string,
  lane: Lane,
  from: Position,
  to: Position,
): Promise<boolean> {
  const rows = await tx.query(
    named(
      'cursor_move',
      sql`
      update event_cursors set tx = ${to.tx}::xid8, seq = ${to.seq}::bigint, moved_at = now()
      where subscription = ${subscription} and lane = ${laneNumber(lane)}
        and tx = ${from.tx}::xid8 and seq = ${from.seq}::bigint
      returning 1`,
    ),
  )
  return rows.length === 1
}

/** Puts an event aside with its error, in the transaction that moves the cursor past it. */
export async function park(tx: WorkerTx, subscription: string, event: DomainEvent, error: unknown): Promise<void> {
  await tx.query(sql`
    insert into parked_events (subscription, tx, seq, lane, tenant_id, event_id, name, occurred_at, error)
    values (${subscription}, ${event.tx}::xid8, ${event.seq}::bigint, ${laneNumber(event.lane)}, ${event.tenantId},
            ${event.id}, ${event.name}, ${event.occurredAt}, ${reasonOf(error)})
    on conflict (tenant_id, subscription, tx, seq)
      do update set error = excluded.error, attempts = parked_events.attempts + 1, parked_at = now()`)
}

/** Notes that a parked event could not be digested again. */
export async function noteFailure(tx: WorkerTx, parked: Parked, error: unknown): Promise<void> {
  await tx.query(sql`
    update parked_events set error = ${reasonOf(error)}, attempts = attempts + 1, parked_at = now()
    where tenant_id = ${parked.tenantId} and subscription = ${parked.subscription}
      and tx = ${parked.tx}::xid8 and seq = ${parked.seq}::bigint`)
}

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 2_000)

/** An event that waits for an operator. */
export interface Parked {
  readonly subscription: string
  readonly tenantId: string
  readonly tx: string
  readonly seq: string
  readonly eventId: string
  readonly name: string
  readonly error: string
  readonly attempts: number
  readonly parkedAt: string
}

/** Parked events, oldest first; of one subscription when named. */
export async function listParked(db: WorkerTx, subscription: string | null, limit: number): Promise<Parked[]> {
  return db.query<Parked>(sql`
    select subscription, tenant_id as "tenantId", tx::text as tx, seq::text as seq,
           event_id as "eventId", name, error, attempts, parked_at::text as "parkedAt"
    from parked_events p where (${subscription}::text is null or p.subscription = ${subscription})
    order by p.tx, p.seq limit ${limit}`)
}

/** Takes a parked event away, in the transaction in which it is digested after all. False when it is gone already. */
export async function unpark(tx: WorkerTx, parked: Parked): Promise<boolean> {
  const rows = await tx.query(sql`
    delete from parked_events
    where tenant_id = ${parked.tenantId} and subscription = ${parked.subscription}
      and tx = ${parked.tx}::xid8 and seq = ${parked.seq}::bigint
    returning 1`)
  return rows.length === 1
}
