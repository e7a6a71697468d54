import sql, { raw, type Sql } from 'sql-template-tag'
import type { Lane } from '../context.ts'
import type { Row, WorkerTx } from '../db/database.ts'
import { named } from '../db/plan.ts'
import { timeSql } from '../db/print-time.ts'
import { laneNumber } from './append.ts'
import { regexOf } from './bus.ts'
import type { DomainEvent, Position } from './event.ts'

/**
 * The next events of a lane after a position, in (tx, seq) order. The horizon keeps back what a slower transaction may
 * still precede: `seq` alone would lose the rows of transactions that commit late. What no pattern wants comes without
 * its record, changes and data: most subscriptions want few events, and all of them read the whole log.
 */
export async function readAfter(
  db: WorkerTx,
  lane: Lane,
  after: Position,
  limit: number,
  patterns: readonly string[] = ['*.*'],
): Promise<DomainEvent[]> {
  const wanted = sql`e.name ~ ${regexOf(patterns)}`
  const rows = await db.query(
    named(
      'events_page',
      sql`
      select ${place}, case when ${wanted} then e.changes end as changes, case when ${wanted} then e.record end as record,
        case when ${wanted} then e.data end as data
      from read_events(${laneNumber(lane)}::smallint, ${after.tx}::xid8, ${after.seq}::bigint,
        pg_snapshot_xmin(pg_current_snapshot()), ${limit}::integer) e
      order by e.tx, e.seq`,
    ),
  )
  return rows.map(eventOf)
}

/**
 * The events of all lanes after a position and before a horizon that was read first, so that no lane runs ahead. Where a
 * lane has more than the limit, the stretch ends for all of them where that lane's page does; `upTo` says where.
 */
export async function readBetween(
  db: WorkerTx,
  after: Position,
  horizon: string,
  limit: number,
): Promise<{ events: DomainEvent[]; upTo: Position | null }> {
  const lanes: readonly Lane[] = ['live', 'bulk']
  const pages = await Promise.all(
    lanes.map(async (lane) => {
      const rows = await db.query(
        named(
          'events_span',
          sql`
          select ${columns} from read_events(${laneNumber(lane)}::smallint, ${after.tx}::xid8, ${after.seq}::bigint,
            ${horizon}::xid8, ${limit}::integer) e`,
        ),
      )
      return rows.map(eventOf).sort(byPosition)
    }),
  )
  const [cut = null] = pages.flatMap((page) => (page.length < limit ? [] : page.slice(-1))).sort(byPosition)
  const events = pages.flat().sort(byPosition)
  if (cut === null) return { events, upTo: null }
  return { events: events.filter((event) => byPosition(event, cut) <= 0), upTo: { tx: cut.tx, seq: cut.seq } }
}

/** The first events of one tenant since a moment, up to the horizon, in (tx, seq) order. */
export async function readSince(db: WorkerTx, tenantId: string, moment: Date, limit: number): Promise<DomainEvent[]> {
  const rows = await db.query(sql`
    select ${columns} from events e
    where e.tenant_id = ${tenantId} and e.occurred_at >= ${moment} and e.tx < pg_snapshot_xmin(pg_current_snapshot())
    order by e.tx, e.seq limit ${limit}`)
  return rows.map(eventOf)
}

/** The events at exact positions; those whose day has been dropped are missing. */
export async function readAt(db: WorkerTx, tenantId: string, at: Position): Promise<DomainEvent | undefined> {
  const rows = await db.query(sql`
    select ${columns} from events e
    where e.tenant_id = ${tenantId} and e.tx = ${at.tx}::xid8 and e.seq = ${at.seq}::bigint`)
  return rows.map(eventOf)[0]
}

/** The first transaction id that is not surely finished: nothing new will appear below it. */
export async function readHorizon(db: WorkerTx): Promise<string> {
  const rows = await db.query<{ horizon: string }>(
    named('horizon', sql`select pg_snapshot_xmin(pg_current_snapshot())::text as horizon`),
  )
  return rows[0]?.horizon ?? '0'
}

/** Order in the log. */
export function byPosition(a: Position, b: Position): number {
  return compare(BigInt(a.tx), BigInt(b.tx)) || compare(BigInt(a.seq), BigInt(b.seq))
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

// `tx_text` and not `tx`: an output column named tx would make `order by tx` sort by text.
const place: Sql = sql`
  e.tenant_id, e.tx::text as tx_text, e.seq::text as seq_text, e.id, e.lane, e.name, e.type, e.record_id, e.version,
  ${raw(timeSql('e.occurred_at'))} as occurred_at, e.actor, e.request_id,
  e.operation_id, e.ip, e.user_agent, e.shares`

const columns: Sql = sql`${place}, e.changes, e.record, e.data`

function eventOf(row: Row): DomainEvent {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    tx: row.tx_text,
    seq: row.seq_text,
    lane: row.lane === 0 ? 'live' : 'bulk',
    name: row.name,
    type: row.type,
    recordId: row.record_id,
    version: row.version,
    occurredAt: row.occurred_at,
    actor: row.actor,
    requestId: row.request_id,
    operationId: row.operation_id,
    ip: row.ip,
    userAgent: row.user_agent,
    changes: row.changes,
    record: row.record,
    data: row.data,
    shares: row.shares ?? [],
  }
}
