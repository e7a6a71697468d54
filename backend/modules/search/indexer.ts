import type { Entity } from '../../kernel/entity/define.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import { writeDocuments } from './document.queries.ts'
import { type Document, documentOf, tombstoneOf } from './document.ts'

/** Keeps the documents of all nouns current; those that stand in no search of all records serve the `?q=` of their list. */
export function searchSubscription(entities: ReadonlyMap<string, Entity>): Subscription<readonly Document[]> {
  return {
    name: 'search',
    patterns: [...entities.keys()].map((type) => `${type}.*`),
    prepare: async (batch) => newest(batch).flatMap((event) => documentsOf(entities, event)),
    apply: writeDocuments,
  }
}

/** Of each record the newest version in the batch: the log is not in the order of versions. */
function newest(batch: readonly DomainEvent[]): DomainEvent[] {
  const found = new Map<string, DomainEvent>()
  for (const event of batch) {
    const key = `${event.tenantId} ${event.type} ${event.recordId}`
    const known = found.get(key)
    if (event.version !== null && (known?.version ?? 0) < event.version) found.set(key, event)
  }
  return [...found.values()]
}

function documentsOf(entities: ReadonlyMap<string, Entity>, event: DomainEvent): Document[] {
  const { tenantId, type, recordId, version, record, name, occurredAt } = event
  const entity = entities.get(type)
  if (!entity || recordId === null || version === null) return []
  if (name === `${type}.deleted` || name === `${type}.merged_into`)
    return [tombstoneOf(tenantId, type, recordId, version, occurredAt)]
  return record === null ? [] : [documentOf(tenantId, entity, version, record, event.shares)]
}
