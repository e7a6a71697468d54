import sql, { raw, type Sql } from 'sql-template-tag'
import { type Actor, type Ctx, type Lane, system } from '../context.ts'
import type { Tx, WorkerTx } from '../db/database.ts'
import { newId } from '../ids.ts'
import type { NewEvent } from './event.ts'

/** The log's number of a lane. */
export const laneNumber = (lane: Lane): number => (lane === 'live' ? 0 : 1)

/** Appends events of the context's tenant and actor to the log, in the transaction of `tx`. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  const { ctx } = tx
  await appendSigned(
    tx,
    events.map((event) => ({ ...event, ...signature(ctx) })),
  )
  for (const event of events) {
    const { name, type, recordId = null, version = null } = event
    tx.appended({ tenantId: ctx.tenantId, name, type, recordId, version })
  }
}

/** An event with all that a context would have added. */
export interface SignedEvent extends NewEvent {
  readonly tenantId: string
  readonly lane: Lane
  readonly actor: Actor
  readonly requestId: string
  readonly operationId: string
  readonly ip?: string | null
  readonly userAgent?: string | null
}

/** Who, when and for whom: what a context adds to an event. */
export function signature(ctx: Ctx): Omit<SignedEvent, keyof NewEvent> {
  const { tenantId, lane, actor, requestId, operationId, ip, userAgent } = ctx
  return { tenantId, lane, actor, requestId, operationId, ip, userAgent }
}

/** Appends events that are signed already: of a worker, who acts for many tenants in one transaction. */
export async function appendSigned(tx: Pick<WorkerTx, 'query'>, events: readonly SignedEvent[]): Promise<void> {
  if (events.length === 0) return
  const rows = events.map((event) => ({ ...event, id: newId(), lane: laneNumber(event.lane) }))
  await tx.query(sql`
    insert into events (${raw(logColumns)})
    select e."tenantId", e.id, e.lane, e.name, e.type, e."recordId", e.version, e.actor, e."requestId", e."operationId",
           e.ip, e."userAgent", coalesce(e.changes, '[]'), e.record, coalesce(e.data, '{}'),
           ${sharesSql(raw('e."tenantId"'), raw('e.type'), raw('e."recordId"'))}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(
      "tenantId" uuid, id uuid, lane smallint, name text, type text, "recordId" uuid, version integer, actor jsonb,
      "requestId" text, "operationId" uuid, ip text, "userAgent" text, changes jsonb, record jsonb, data jsonb)`)
}

/** An event in SQL over the row that it is of: for the statement that changes many rows, and appends what it did. */
export interface EventSql {
  readonly tenantId: Sql
  readonly id: Sql
  readonly lane?: Sql
  readonly name: Sql
  readonly type: string
  readonly recordId: Sql
  readonly version?: Sql
  readonly actor: Sql
  readonly requestId: Sql
  readonly operationId: Sql
  readonly record: Sql
  readonly data: Sql
}

/** SQL that appends an event of each row; nobody's request asked for it, so that it has no address. */
export const appendingSql = (event: EventSql, from: Sql): Sql => {
  const { lane = sql`${laneNumber('live')}`, version = sql`null` } = event
  return sql`
    insert into events (${raw(logColumns)})
    select ${event.tenantId}, ${event.id}, (${lane})::smallint, ${event.name}, ${event.type}::text, ${event.recordId}, (${version})::integer,
           ${event.actor}, ${event.requestId}, ${event.operationId}, null, null, '[]', ${event.record}, ${event.data},
           ${sharesSql(event.tenantId, sql`${event.type}::text`, event.recordId)}
    from ${from}`
}

/** Who signs what happens by the clock, as one operation of its own. */
export const bySystem = (operationId: string): Pick<EventSql, 'actor' | 'requestId' | 'operationId'> => ({
  actor: sql`${JSON.stringify(system)}::jsonb`,
  requestId: sql`${operationId}::text`,
  operationId: sql`${operationId}::uuid`,
})

/** The columns of the log that whoever appends fills, in the order in which all of them do. */
export const logColumns =
  'tenant_id, id, lane, name, type, record_id, version, actor, request_id, operation_id, ip, user_agent, changes, record, data, shares'

/** SQL for those with whom a record is shared, as the log keeps them; null for nobody. */
export const sharesSql = (tenant: Sql, type: Sql, id: Sql): Sql => sql`(
  select jsonb_agg(jsonb_build_object('id', s.grantee_id, 'access', s.access)) from record_shares s
  where s.tenant_id = ${tenant} and s.record_type = ${type} and s.record_id = ${id})`
