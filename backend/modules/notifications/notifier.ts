import sql from 'sql-template-tag'
import type { Actor } from '../../kernel/context.ts'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { appendingSql, laneNumber } from '../../kernel/events/append.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import { newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { type Rights, reaches } from '../../kernel/rights.ts'
import { type Entry, type EntryKey, entryOf, type Finding, type Heap, heapsOf, isBulk, nameOf } from './entries.ts'
import { inboxLock } from './notification.queries.ts'
import { printed } from './notification.ts'
import { findPeople, type Person } from './people.ts'
import { involved, rules, rulesFor } from './rules.ts'

/** The subscription that fills the inboxes by the rules. */
export function notifierSubscription(deps: {
  db: Database
  log: Logger
  entities: ReadonlyMap<string, Entity>
  rightsOf: RightsOf
}): Subscription<Row[]> {
  const { db, log, entities } = deps
  return {
    name: 'notifications',
    patterns: [...new Set(rules.flatMap((rule) => rule.on))],
    prepare: async (batch) => {
      const findings = await findingsOf(deps, batch)
      const heaps = heapsOf(findings)
      const earlier = await countEarlier(db.worker, heaps)
      if (heaps.length < findings.length) {
        log.debug({ findings: findings.length, entries: heaps.length }, 'notifications of bulk work were summed up')
      }
      return heaps.map((heap) => rowOf(heap, earlier.get(nameOf(heap)) ?? 0, entities))
    },
    appends: true,
    apply: async (tx, rows) => {
      if (rows.length === 0) return
      await lockInboxes(tx, rows)
      await writeEntries(tx, rows)
    },
  }
}

/** What people may do, of all tenants at once. */
export type RightsOf = (users: readonly Person[]) => Promise<(user: Person) => Rights | undefined>

async function findingsOf(
  deps: { db: Database; entities: ReadonlyMap<string, Entity>; rightsOf: RightsOf },
  batch: readonly DomainEvent[],
): Promise<Finding[]> {
  const spoken = batch
    .map((event) => ({ event, spokenOf: rulesFor(event) }))
    .filter(({ spokenOf }) => spokenOf.length > 0)
  const wanted = spoken.flatMap(({ event }) => involved(event).map((id) => ({ tenantId: event.tenantId, id })))
  const peopleOf = await findPeople(deps.db.worker, wanted)
  const findings = spoken.flatMap(({ event, spokenOf }) => {
    const people = peopleOf(event.tenantId)
    return spokenOf.flatMap((rule) => {
      const recipients = new Set(rule.to.flatMap((part) => part(event, people)))
      // Nobody is told of what he did himself.
      if (event.actor.id !== null) recipients.delete(event.actor.id)
      return [...recipients].filter((id) => people.isActive(id)).map((userId) => ({ rule, event, userId }))
    })
  })
  const rightsOf = await deps.rightsOf(findings.map(({ event, userId: id }) => ({ tenantId: event.tenantId, id })))
  return findings.flatMap(({ event, userId, rule }) => {
    const rights = rightsOf({ tenantId: event.tenantId, id: userId })
    const told = isOwnWork(event, userId) || mayRead(rights, deps.entities.get(event.type), event)
    return told ? [{ event, userId, rule, fields: rights?.fields?.(event.type) }] : []
  })
}

/** Long work (an import) is no record: its events say whose it is. */
const isOwnWork = ({ data }: DomainEvent, userId: string): boolean => data.userId === userId

/** Nobody learns by his inbox of a record that he may not read. */
function mayRead(rights: Rights | undefined, entity: Entity | undefined, event: DomainEvent): boolean {
  // What is no record (an import that has ended) is told to whom its rule names.
  if (!entity) return true
  return (
    rights !== undefined &&
    reaches(rights.scope(entity.type, 'read'), belongingOf(entity, event.record ?? {}, event.shares))
  )
}

/**
 * What earlier batches of the same operations brought. Read outside of the transaction that writes: when another runner
 * has moved the cursor meanwhile, that transaction rolls back.
 */
async function countEarlier(db: WorkerTx, heaps: readonly Heap[]): Promise<Map<string, number>> {
  const bulk = heaps.filter((heap) => isBulk(heap.first.event))
  if (bulk.length === 0) return new Map()
  const keys = bulk.map(({ tenantId, userId, type, sourceId }): EntryKey => ({ tenantId, userId, type, sourceId }))
  const rows = await db.query<EntryKey & { count: number }>(sql`
    select k.*, (n.data ->> 'count')::integer as count
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k("tenantId" uuid, "userId" uuid, type text, "sourceId" uuid)
    join notifications n on n.tenant_id = k."tenantId" and n.user_id = k."userId" and n.source_id = k."sourceId" and n.type = k.type`)
  return new Map(rows.map((row) => [nameOf(row), row.count]))
}

/** An entry with the event that tells of it, which is signed as the event that brought it. */
interface Row extends Entry {
  readonly id: string
  readonly eventId: string
  readonly eventName: 'notification.created' | 'notification.updated'
  readonly lane: number
  readonly actor: Actor
  readonly requestId: string
  readonly operationId: string
}

function rowOf(heap: Heap, earlier: number, entities: ReadonlyMap<string, Entity>): Row {
  const { lane, actor, requestId, operationId } = heap.last.event
  return {
    ...entryOf(heap, earlier, entities),
    id: newId(),
    eventId: newId(),
    eventName: earlier > 0 ? 'notification.updated' : 'notification.created',
    lane: laneNumber(lane),
    actor,
    requestId,
    operationId,
  }
}

/** In one order, before any row: whoever reads all of his entries meanwhile would meet their locks in another one. */
async function lockInboxes(tx: WorkerTx, rows: readonly Row[]): Promise<void> {
  const inboxes = rows.map(inboxLock)
  await tx.query(sql`
    select pg_advisory_xact_lock(i.key)
    from (select distinct hashtextextended(name, 0) as key from unnest(${inboxes}::text[]) as name order by 1) i`)
}

/** Entries and the events that tell of them in one statement. A sum that has grown is unread again. */
async function writeEntries(tx: WorkerTx, rows: readonly Row[]): Promise<void> {
  await tx.query(sql`
    with entries as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e(
        "tenantId" uuid, "userId" uuid, id uuid, "sourceId" uuid, type text, title text, message text, priority text,
        "entityType" text, "entityId" uuid, "actionLabel" text, "actionUrl" text, data jsonb, "createdAt" timestamptz,
        "eventId" uuid, "eventName" text, lane smallint, actor jsonb, "requestId" text, "operationId" uuid)
    ), written as (
      insert into notifications as n (tenant_id, user_id, id, source_id, type, title, message, priority, entity_type,
                                      entity_id, action_label, action_url, data, created_at)
      select e."tenantId", e."userId", e.id, e."sourceId", e.type, e.title, e.message, e.priority, e."entityType",
             e."entityId", e."actionLabel", e."actionUrl", e.data, e."createdAt"
      from entries e
      on conflict (tenant_id, user_id, source_id, type) do update
        set message = excluded.message, entity_id = excluded.entity_id, action_label = excluded.action_label,
            action_url = excluded.action_url, data = excluded.data, read_at = null,
            created_at = greatest(n.created_at, excluded.created_at)
        where excluded.data ? 'count'
      returning n.*
    )
    ${appendingSql(
      {
        tenantId: sql`n.tenant_id`,
        id: sql`e."eventId"`,
        lane: sql`e.lane`,
        name: sql`e."eventName"`,
        type: 'notification',
        recordId: sql`n.id`,
        actor: sql`e.actor`,
        requestId: sql`e."requestId"`,
        operationId: sql`e."operationId"`,
        record: printed,
        data: sql`jsonb_build_object('userId', n.user_id)`,
      },
      sql`written n join entries e on e."tenantId" = n.tenant_id and e."userId" = n.user_id
        and e."sourceId" = n.source_id and e.type = n.type`,
    )}`)
}
