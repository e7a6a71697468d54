import { titleFor } from '../../kernel/entity/called.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { FieldRules } from '../../kernel/rights.ts'
import type { Priority, Rule } from './rules.ts'

/** Somebody is to be told of an event by a rule. */
export interface Finding {
  readonly rule: Rule
  readonly event: DomainEvent
  readonly userId: string
  /** How he sees the record that it is about. */
  readonly fields: FieldRules | undefined
}

/** What an entry is known by: there is one for each user, type and source. */
export interface EntryKey {
  readonly tenantId: string
  readonly userId: string
  readonly type: string
  /** The event that it tells of, or the operation of the bulk lane whose events it sums up. */
  readonly sourceId: string
}

/** Findings that make one entry. */
export interface Heap extends EntryKey {
  readonly first: Finding
  readonly last: Finding
  readonly size: number
}

/** An entry of an inbox as it is written. */
export interface Entry extends EntryKey {
  readonly title: string
  readonly message: string
  readonly priority: Priority
  readonly entityType: string
  readonly entityId: string | null
  readonly actionLabel: string
  readonly actionUrl: string
  readonly data: Readonly<Record<string, unknown>>
  readonly createdAt: string
}

/** Collapses what imports and bulk calls bring: nobody gets ten thousand entries of one operation. */
export function heapsOf(findings: readonly Finding[]): Heap[] {
  const heaps = new Map<string, Heap>()
  for (const finding of findings) {
    const { event, rule, userId } = finding
    const key = {
      tenantId: event.tenantId,
      userId,
      type: rule.type,
      sourceId: isBulk(event) ? event.operationId : event.id,
    }
    const known = heaps.get(nameOf(key))
    heaps.set(nameOf(key), { ...key, first: known?.first ?? finding, last: finding, size: (known?.size ?? 0) + 1 })
  }
  return [...heaps.values()]
}

/** Whether entries sum up what the event's operation brings. */
export const isBulk = (event: DomainEvent): boolean => event.lane === 'bulk'

/** A key as text. */
export const nameOf = ({ tenantId, userId, type, sourceId }: EntryKey): string =>
  `${tenantId} ${userId} ${type} ${sourceId}`

/** The entry of a heap, when earlier batches of its operation brought so many already. */
export function entryOf(heap: Heap, earlier: number, entities: ReadonlyMap<string, Entity>): Entry {
  const { first, last, tenantId, userId, type, sourceId } = heap
  const { rule, event, fields } = first
  const { priority, title } = rule
  const count = earlier + heap.size
  const entity = entities.get(event.type)
  const path = entity?.path ?? `${event.type}s`
  const about = {
    tenantId,
    userId,
    type,
    sourceId,
    title,
    priority,
    entityType: event.type,
    data: isBulk(event) ? { count, operationId: sourceId } : (rule.data?.(event) ?? {}),
    createdAt: last.event.occurredAt,
  }
  if (count > 1) {
    const message = rule.summary.replace('{count}', String(count))
    return { ...about, message, entityId: null, actionLabel: `Open ${path}`, actionUrl: `/${path}` }
  }
  const name = event.record && entity ? titleFor(entity, fields, event.record) : ''
  return {
    ...about,
    message: filled(rule.message, {
      ...rule.words?.(event),
      actor: event.actor.name,
      noun: event.type.replaceAll('_', ' '),
      name: name === '' ? 'without a name' : `“${name}”`,
    }),
    entityId: event.recordId,
    actionLabel: `Open the ${event.type}`,
    actionUrl: `/${path}/${event.recordId}`,
  }
}

const filled = (sentence: string, parts: Readonly<Record<string, string>>): string =>
  sentence.replace(/\{(\w+)\}/g, (all, part: string) => parts[part] ?? all)
