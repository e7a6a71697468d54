import sql, { type Sql } from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { DomainEvent, Position } from '../../kernel/events/event.ts'
import { readAt } from '../../kernel/events/log.ts'
import type { Ahead } from './sequence.ts'

/**
 * The lowest version of each record that is committed beyond a position. An event can be seen before a lower version of
 * its record, of a transaction with a higher id; that one had committed first, so it is found here though the horizon
 * still hides it from the tail.
 */
export async function readAhead(db: WorkerTx, events: readonly DomainEvent[], beyond: Position): Promise<Ahead> {
  const records = [...new Set(events.flatMap((event) => event.recordId ?? []))]
  const rows = await db.query<{ key: string; version: number }>(sql`
    with beyond as (${visibleBeyond(beyond)})
    select b.tenant_id || ' ' || b.type || ' ' || b.record_id as key, min(b.version) as version
    from beyond b
    where b.record_id = any(${records}::uuid[])
    group by b.tenant_id, b.type, b.record_id`)
  return new Map(rows.map((row) => [row.key, row.version]))
}

/** A transaction that is older by so many others has ended, and what it could wait for has come. */
const transactionsBack = 100_000n

/** The events up to a position that wait for a lower version of their record beyond it, in the order of the log. */
export async function readWaiting(db: WorkerTx, position: Position): Promise<DomainEvent[]> {
  const lowest = BigInt(position.tx) - transactionsBack
  const rows = await db.query<{ tenant_id: string; tx: string; seq: string }>(sql`
    with beyond as (${visibleBeyond(position)}),
    lowest as materialized (
      select b.tenant_id, b.type, b.record_id, min(b.version) as version from beyond b
      where b.record_id is not null group by b.tenant_id, b.type, b.record_id
    )
    select e.tenant_id, e.tx::text as tx, e.seq::text as seq
    from lowest l join events e on e.tenant_id = l.tenant_id and e.record_id = l.record_id and e.type = l.type
    where e.version > l.version and (e.tx, e.seq) <= (${position.tx}::xid8, ${position.seq}::bigint)
      and e.tx >= ${String(lowest > 0n ? lowest : 0n)}::xid8 and e.occurred_at > now() - interval '5 minutes'
    order by e.tx, e.seq`)
  const events = await Promise.all(rows.map(({ tenant_id, tx, seq }) => readAt(db, tenant_id, { tx, seq })))
  return events.filter((event) => event !== undefined)
}

/** Versions that are committed beyond a position. Each lane by itself: the index begins with it. */
const visibleBeyond = ({ tx, seq }: Position): Sql => sql`
  select tenant_id, type, record_id, version from events
  where lane = 0 and (tx, seq) > (${tx}::xid8, ${seq}::bigint)
    and occurred_at > now() - interval '1 hour' and version is not null
  union all
  select tenant_id, type, record_id, version from events
  where lane = 1 and (tx, seq) > (${tx}::xid8, ${seq}::bigint)
    and occurred_at > now() - interval '1 hour' and version is not null`
