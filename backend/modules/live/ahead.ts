import sql from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { DomainEvent, Position } from '../../kernel/events/event.ts'
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
