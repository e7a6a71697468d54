import sql from 'sql-template-tag'
import type { Catalogue } from '../../events.ts'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import type { Logger } from '../../kernel/log.ts'
import { type Activity, recordedActivityOf } from './activity.ts'
import { lexemesOf } from './words.ts'

/** The subscription that writes the timeline: one activity for each event that is one, with the event's id. */
export function timelineSubscription({ catalogue, log }: { catalogue: Catalogue; log: Logger }): Subscription<Row[]> {
  const missing = new Set<string>()
  return {
    name: 'timeline',
    patterns: ['*.*'],
    prepare: async (batch) => {
      for (const { name } of batch) {
        if (catalogue.kinds.has(name) || missing.has(name)) continue
        missing.add(name)
        log.warn({ event: name }, 'an event is not in the catalogue: its activities have a makeshift sentence')
      }
      return batch.flatMap((event) => rowOf(event, catalogue))
    },
    apply: insertActivities,
  }
}

interface Row extends Activity {
  readonly tenantId: string
  readonly version: number | null
  readonly personal: boolean
  readonly words: readonly string[]
}

function rowOf(event: DomainEvent, catalogue: Catalogue): Row[] {
  const activity = recordedActivityOf(event, catalogue)
  if (activity === null) return []
  return [
    {
      ...activity,
      tenantId: event.tenantId,
      version: event.version,
      personal: catalogue.kindOf(event.name).personal === true,
      words: lexemesOf(event.tenantId, `${activity.entityName} ${activity.description}`),
    },
  ]
}

/** An event that is replayed, or read again after a restore of the cursors, has its activity already. */
async function insertActivities(tx: WorkerTx, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return
  await tx.query(sql`
    insert into activities (tenant_id, occurred_at, id, entity_type, entity_id, entity_name, version, action, description,
                            changes, actor_id, actor_type, actor_name, ip_address, user_agent, request_id, operation_id,
                            metadata, personal, document)
    select a."tenantId", a."occurredAt", a.id, a."entityType", a."entityId", a."entityName", a.version, a.action,
           a.description, a.changes, (a.actor ->> 'id')::uuid, a.actor ->> 'type', a.actor ->> 'name', a."ipAddress",
           a."userAgent", a."requestId", a."operationId", a.metadata, a.personal, array_to_tsvector(a.words)
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as a(
      "tenantId" uuid, "occurredAt" timestamptz, id uuid, "entityType" text, "entityId" uuid, "entityName" text,
      version integer, action text, description text, changes jsonb, actor jsonb, "ipAddress" text, "userAgent" text,
      "requestId" text, "operationId" uuid, metadata jsonb, personal boolean, words text[])
    on conflict do nothing`)
}
