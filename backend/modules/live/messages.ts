import type { Entity } from '../../kernel/entity/define.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Belonging, FieldRules } from '../../kernel/rights.ts'
import type { Mask } from '../../kernel/sight.ts'
import type { Sequenced } from './sequence.ts'
import { recordTopic, typeTopic, userTopic } from './topics.ts'

/** Who gets a message: the sockets of a user, or those that follow one of the topics and may read such a record. */
export type Audience =
  | { readonly kind: 'user'; readonly topic: string }
  | { readonly kind: 'followers'; readonly topics: readonly string[]; readonly belonging: Belonging }

/** A message that an event causes, whoever listens. */
export interface Message {
  /** Its number among the messages of the event, the same in every process. */
  readonly slot: number
  readonly name: string
  readonly audience: Audience
  /** Null: the user's unread count that the event does not say; it is looked up when the message goes out. */
  readonly payload: (() => Readonly<Record<string, unknown>> | null) | null
  /** How it is shown to those who follow a record; null: nothing of records that a role could hide is in it. */
  readonly mask: Mask | null
}

/** An event with its messages and where they go out. */
export interface Item extends Sequenced {
  readonly messages: readonly Message[]
}

/** What the messages of an event are made with. */
export interface MessageSources {
  readonly entities: ReadonlyMap<string, Entity>
  /** With rules, as those see it who see the record by them. */
  activityOf(event: DomainEvent, rules?: FieldRules): Record<string, unknown> | null
}

/** The messages of an event, in the order in which they go out. */
export function messagesOf(sources: MessageSources, event: DomainEvent): readonly Message[] {
  if (event.type === 'notification') return ofNotification(event)
  if (Object.hasOwn(workNames, event.type)) return ofOwnWork(event)
  if (event.type === 'presence') return ofPresence(event)
  const entity = sources.entities.get(event.type)
  return entity ? ofRecord(sources, entity, event) : []
}

const notificationNames: Readonly<Record<string, string>> = {
  'notification.created': 'notification:new',
  'notification.updated': 'notification:updated',
  'notification.deleted': 'notification:updated',
}

function ofNotification(event: DomainEvent): readonly Message[] {
  const { userId, unreadCount } = event.data
  const name = notificationNames[event.name]
  if (name === undefined || typeof userId !== 'string') return []
  const audience: Audience = { kind: 'user', topic: userTopic(event.tenantId, userId) }
  const item: Message = { slot: 0, name, audience, payload: () => notificationOf(event), mask: null }
  if (event.name === 'notification.created') return [item]
  const payload = typeof unreadCount === 'number' ? () => ({ unreadCount }) : null
  return [item, { slot: 1, name: 'notification:unread-count', audience, payload, mask: null }]
}

/** Who follows users, or one of them, hears when they come and go. */
function ofPresence({ tenantId, recordId, data }: DomainEvent): readonly Message[] {
  if (recordId === null) return []
  const { userId, online } = data
  const topics = [recordTopic(tenantId, 'user', recordId), typeTopic(tenantId, 'user')]
  const audience: Audience = { kind: 'followers', topics, belonging: { ownerIds: [], createdById: null } }
  return [{ slot: 0, name: 'presence:changed', audience, payload: () => ({ userId, online }), mask: null }]
}

/** What long work tells its own user, by the type of its events. */
const workNames: Readonly<Record<string, string>> = { import: 'import:progress' }

function ofOwnWork(event: DomainEvent): readonly Message[] {
  const { userId } = event.data
  const name = workNames[event.type]
  if (name === undefined || typeof userId !== 'string' || event.record === null) return []
  const audience: Audience = { kind: 'user', topic: userTopic(event.tenantId, userId) }
  return [{ slot: 0, name, audience, payload: () => event.record, mask: null }]
}

/** The entry; of several at once only their ids, or nothing but that the list should be read anew. */
function notificationOf({ name, record, data }: DomainEvent): Readonly<Record<string, unknown>> {
  const entry = record ?? { ids: data.ids ?? null }
  return name === 'notification.deleted' ? { ...entry, deleted: true } : entry
}

/** What happened to a list that shows the record. A verb that is not named here changed the record. */
const recordMessages: Readonly<Record<string, string | null>> = {
  created: 'record:created',
  restored: 'record:created',
  deleted: 'record:deleted',
  merged_into: 'record:deleted',
  viewed: null,
}

function ofRecord(sources: MessageSources, entity: Entity, event: DomainEvent): readonly Message[] {
  const { tenantId, type, recordId: id, version } = event
  if (id === null) return []
  // Without a record it is nobody's: only who may read all of them is told.
  const belonging = belongingOf(entity, event.record ?? {}, event.shares)
  const record = recordTopic(tenantId, type, id)
  const verb = event.name.slice(event.name.indexOf('.') + 1)
  const name = version === null ? null : Object.hasOwn(recordMessages, verb) ? recordMessages[verb] : 'record:updated'
  const messages: Message[] = []
  if (name) {
    const audience: Audience = { kind: 'followers', topics: [record, typeTopic(tenantId, type)], belonging }
    messages.push({ slot: 0, name, audience, payload: () => ({ type, id, version }), mask: null })
  }
  messages.push({
    slot: 1,
    name: 'activity:new',
    audience: { kind: 'followers', topics: [record], belonging },
    payload: () => sources.activityOf(event),
    mask: (rights) => sources.activityOf(event, rights.fields?.(type)),
  })
  return messages
}
