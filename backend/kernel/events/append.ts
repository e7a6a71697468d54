import sql from 'sql-template-tag'
import type { Actor, Ctx, Lane } from '../context.ts'
import type { Tx } from '../db/database.ts'
import { newId } from '../ids.ts'
import type { NewEvent } from './event.ts'

/** The log's number of a lane. */
export const laneNumber = (lane: Lane): number => (lane === 'live' ? 0 : 1)

/** Appends events of the context's tenant and actor to the log, in the transaction of `tx`. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  const { ctx } = tx
  await insert(
    tx,
    events.map((event) => ({ ...event, ...signature(ctx) })),
  )
  for (const event of events) {
    const { name, type, recordId = null, version = null } = event
    tx.appended({ tenantId: ctx.tenantId, name, type, recordId, version })
  }
}

/** An event with all that a context would have added. */
interface SignedEvent extends NewEvent {
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

async function insert(tx: Tx, events: readonly SignedEvent[]): Promise<void> {
  const rows = events.map((event) => ({ ...event, id: newId(), lane: laneNumber(event.lane) }))
  await tx.query(sql`
    insert into events (tenant_id, id, lane, name, type, record_id, version, actor, request_id, operation_id, ip,
                        user_agent, changes, record, data)
    select e."tenantId", e.id, e.lane, e.name, e.type, e."recordId", e.version, e.actor, e."requestId", e."operationId",
           e.ip, e."userAgent", coalesce(e.changes, '[]'), e.record, coalesce(e.data, '{}')
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(
      "tenantId" uuid, id uuid, lane smallint, name text, type text, "recordId" uuid, version integer, actor jsonb,
      "requestId" text, "operationId" uuid, ip text, "userAgent" text, changes jsonb, record jsonb, data jsonb)`)
}
