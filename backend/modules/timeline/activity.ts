import { z } from 'zod'
import type { ActivityAction, Catalogue } from '../../events.ts'
import type { Actor } from '../../kernel/context.ts'
import { hiddenOfName, titleFor } from '../../kernel/entity/called.ts'
import { type Entity, named } from '../../kernel/entity/define.ts'
import { seenChanges } from '../../kernel/entity/field-rules.ts'
import type { Change, DomainEvent } from '../../kernel/events/event.ts'
import type { FieldRules, Rights } from '../../kernel/rights.ts'
import { sight } from '../../kernel/sight.ts'

/** One thing that was done to a record, as the API and the sockets show it. */
export type Activity = {
  /** The id of the event that it tells. */
  readonly id: string
  readonly entityType: string
  readonly entityId: string | null
  readonly entityName: string
  readonly action: ActivityAction
  readonly description: string
  readonly changes: readonly Change[]
  readonly actor: Actor
  readonly ipAddress: string | null
  readonly userAgent: string | null
  readonly requestId: string
  readonly operationId: string
  /** The record's version, the verb where the action does not say it, and what the verb itself had to say. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly occurredAt: string
}

/**
 * What those who follow a record are told of an event, as they see the record by these rules; null when it is no activity,
 * or personal to who did it.
 */
export function activityOf(
  event: DomainEvent,
  catalogue: Catalogue,
  entity: Entity | undefined,
  rules: FieldRules | undefined,
): Activity | null {
  const activity = catalogue.kindOf(event.name).personal ? null : recordedActivityOf(event, catalogue)
  if (!activity || !entity || !rules) return activity
  const title = titleFor(entity, rules, event.record ?? {})
  return seenActivity(activity, entity, rules, (id) => (id === event.recordId ? title : named(entity.type)))
}

/** An activity as somebody sees it: without changes of what is hidden, of records that are called so for him. */
export function seenActivity(
  activity: Activity,
  entity: Entity,
  rules: FieldRules,
  titleOf: (id: string) => string,
): Activity {
  const changes = seenChanges(entity, rules, activity.changes)
  const { entityId, entityName, description, metadata } = activity
  if (hiddenOfName(entity, rules).length === 0 || entityId === null) return { ...activity, changes }
  const title = titleOf(entityId)
  const merged = Array.isArray(metadata.merged)
    ? { merged: metadata.merged.map((one) => ({ ...one, name: titleOf(String(one.id)) })) }
    : {}
  return {
    ...activity,
    changes,
    entityName: title,
    description: description.replaceAll(`“${entityName}”`, () => `“${title}”`),
    metadata: { ...metadata, ...merged },
  }
}

/** What the timeline keeps of an event; null when it is no activity (views, what happens in an inbox). */
export function recordedActivityOf(event: DomainEvent, catalogue: Catalogue): Activity | null {
  const { sentence, action } = catalogue.kindOf(event.name)
  if (action === null) return null
  const verb = event.name.slice(event.name.indexOf('.') + 1)
  const entityName = nameOf(event, catalogue)
  return {
    id: event.id,
    entityType: event.type,
    entityId: event.recordId,
    entityName,
    action,
    description: inWords(sentence, event, entityName),
    changes: event.changes,
    actor: event.actor,
    ipAddress: event.ip,
    userAgent: event.userAgent,
    requestId: event.requestId,
    operationId: event.operationId,
    metadata: {
      ...event.data,
      ...(event.actor.operator === undefined ? {} : { operator: event.actor.operator }),
      ...(event.version === null ? {} : { version: event.version }),
      ...(verb === action ? {} : { verb }),
    },
    occurredAt: event.occurredAt,
  }
}

/** An activity without the old and new values of members that somebody does not see. */
function maskActivity(rights: Pick<Rights, 'fields'>, activity: unknown): unknown {
  const known = seen.safeParse(activity)
  const rules = known.success && rights.fields?.(known.data.entityType)
  if (!rules || !known.success) return activity
  return { ...known.data, changes: seenChanges(undefined, rules, known.data.changes) }
}

const seen = z.looseObject({ entityType: z.string(), changes: z.array(z.looseObject({ field: z.string() })) })

/** The shape of an activity, for validation of answers and the document. */
export const activitySchema = z
  .object({
    id: z.uuid(),
    entityType: z.string(),
    entityId: z.uuid().nullable(),
    entityName: z.string(),
    action: z.string(),
    description: z.string(),
    changes: z.array(z.object({ field: z.string(), oldValue: z.unknown(), newValue: z.unknown() })),
    actor: z.object({
      id: z.uuid().nullable(),
      type: z.enum(['user', 'api_key', 'service', 'import', 'job', 'system']),
      name: z.string(),
    }),
    ipAddress: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestId: z.string(),
    operationId: z.uuid(),
    metadata: z.record(z.string(), z.unknown()),
    occurredAt: z.iso.datetime({ precision: 3 }),
  })
  .meta({
    id: 'Activity',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
      entityType: 'deal',
      entityId: '0192f0c1-1b2c-7c44-8e21-6f0d9b3a5c11',
      entityName: '200 engines',
      action: 'updated',
      description: 'Ada Lovelace won the deal “200 engines”',
      changes: [{ field: 'status', oldValue: 'open', newValue: 'won' }],
      actor: { id: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77', type: 'user', name: 'Ada Lovelace' },
      ipAddress: '203.0.113.7',
      userAgent: 'Mozilla/5.0',
      requestId: '0192f0c1-7a4d-7001-8c11-aa55bb66cc77',
      operationId: '0192f0c1-7a4d-7002-8c11-aa55bb66cc78',
      metadata: { version: 4, verb: 'won' },
      occurredAt: '2026-11-21T08:00:00.000Z',
    },
  })
  .register(sight, { mask: maskActivity })

function nameOf(event: DomainEvent, catalogue: Catalogue): string {
  if (event.record) return catalogue.titleOf(event.type, event.record)
  return event.recordId !== null && event.recordId === event.actor.id ? event.actor.name : ''
}

function inWords(sentence: string, event: DomainEvent, entityName: string): string {
  const parts: Readonly<Record<string, string>> = {
    actor: event.actor.name,
    noun: event.type.replaceAll('_', ' '),
    name: entityName === '' ? 'without a name' : `“${entityName}”`,
    fields: listed(event.changes.map(({ field }) => spoken(field))),
  }
  return sentence.replace(/\{(\w+)\}/g, (all, part: string) => parts[part] ?? all)
}

/** `companyId` is spoken of as company, `leadScore` as lead score. */
const spoken = (field: string): string =>
  field.replace(/(?<!external)Ids?$/, '').replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

function listed(names: readonly string[]): string {
  const most = names.slice(0, 5)
  const more = names.length > most.length ? [`${names.length - most.length} more`] : []
  const all = [...most, ...more]
  if (all.length < 2) return all[0] ?? 'nothing'
  return `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`
}
