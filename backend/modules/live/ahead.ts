import sql from 'sql-template-tag'
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
    select e.tenant_id || ' ' || e.type || ' ' || e.record_id as key, min(e.version) as version
    from (values (0::smallint), (1::smallint)) lanes(lane)
    cross join lateral (
      select tenant_id, type, record_id, version from events
      where lane = lanes.lane and (tx, seq) > (${beyond.tx}::xid8, ${beyond.seq}::bigint)
        and occurred_at > now() - interval '1 hour' and version is not null
    ) e
    where e.record_id = any(${records}::uuid[])
    group by e.tenant_id, e.type, e.record_id`)
  return new Map(rows.map((row) => [row.key, row.version]))
}

/** A transaction that is older by so many others has ended, and what it could wait for has come. */
const transactionsBack = 100_000n

/** The events up to a position that wait for a lower version of their record beyond it, in the order of the log. */
export async function readWaiting(db: WorkerTx, position: Position): Promise<DomainEvent[]> {
  const lowest = BigInt(position.tx) - transactionsBack
  const rows = await db.query<{ tenant_id: string; tx: string; seq: string }>(sql`
    with beyond as materialized (
      select e.tenant_id, e.type, e.record_id, min(e.version) as version
      from (values (0::smallint), (1::smallint)) lanes(lane)
      cross join lateral (
        select tenant_id, type, record_id, version from events
        where lane = lanes.lane and (tx, seq) > (${position.tx}::xid8, ${position.seq}::bigint)
          and occurred_at > now() - interval '1 hour' and version is not null and record_id is not null
      ) e
      group by e.tenant_id, e.type, e.record_id
    )
    select e.tenant_id, e.tx::text as tx, e.seq::text as seq
    from beyond b join events e on e.tenant_id = b.tenant_id and e.record_id = b.record_id and e.type = b.type
    where e.version > b.version and (e.tx, e.seq) <= (${position.tx}::xid8, ${position.seq}::bigint)
      and e.tx >= ${String(lowest > 0n ? lowest : 0n)}::xid8 and e.occurred_at > now() - interval '5 minutes'
    order by e.tx, e.seq`)
  const events = await Promise.all(rows.map(({ tenant_id, tx, seq }) => readAt(db, tenant_id, { tx, seq })))
  return events.filter((event) => event !== undefined)
}
