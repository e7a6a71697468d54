import type { Entity } from '../../kernel/entity/define.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Belonging } from '../../kernel/rights.ts'
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
  /** Null: the user's unread count, which is looked up when the message goes out. */
  readonly payload: (() => Readonly<Record<string, unknown>> | null) | null
}

/** An event with its messages and where they go out. */
export interface Item extends Sequenced {
  readonly messages: readonly Message[]
}

/** What the messages of an event are made with. */
export interface MessageSources {
  readonly entities: ReadonlyMap<string, Entity>
  activityOf(event: DomainEvent): Record<string, unknown> | null
}

/** The messages of an event, in the order in which they go out. */
export function messagesOf(sources: MessageSources, event: DomainEvent): readonly Message[] {
  if (event.type === 'notification') return ofNotification(event)
  const entity = sources.entities.get(event.type)
  return entity ? ofRecord(sources, entity, event) : []
}

const notificationMessages: Readonly<Record<string, readonly ('item' | 'count')[]>> = {
  'notification.created': ['item'],
  'notification.updated': ['item', 'count'],
  'notification.deleted': ['item', 'count'],
}

function ofNotification(event: DomainEvent): readonly Message[] {
  const userId = event.data.userId
  if (typeof userId !== 'string') return []
  const audience: Audience = { kind: 'user', topic: userTopic(event.tenantId, userId) }
  const name = event.name === 'notification.created' ? 'notification:new' : 'notification:updated'
  return (notificationMessages[event.name] ?? []).map((what, slot) =>
    what === 'item'
      ? { slot, name, audience, payload: () => event.record }
      : { slot, name: 'notification:unread-count', audience, payload: null },
  )
}

/** What happened to a list that shows the record. A verb that is not named here changed the record. */
const recordMessages: Readonly<Record<string, string | null>> = {
  created: 'record:created',
  restored: 'record:created',
  deleted: 'record:deleted',
  viewed: null,
}

/** Who signs in when is nobody else's business. */
const personal: ReadonlySet<string> = new Set(['logged_in', 'logged_out'])

function ofRecord(sources: MessageSources, entity: Entity, event: DomainEvent): readonly Message[] {
  const { tenantId, type, recordId: id, version } = event
  if (id === null) return []
  const belonging = belongingOf(entity, event)
  const record = recordTopic(tenantId, type, id)
  const verb = event.name.slice(event.name.indexOf('.') + 1)
  if (personal.has(verb)) return []
  const name = version === null ? null : Object.hasOwn(recordMessages, verb) ? recordMessages[verb] : 'record:updated'
  const messages: Message[] = []
  if (name) {
    const audience: Audience = { kind: 'followers', topics: [record, typeTopic(tenantId, type)], belonging }
    messages.push({ slot: 0, name, audience, payload: () => ({ type, id, version }) })
  }
  messages.push({
    slot: 1,
    name: 'activity:new',
    audience: { kind: 'followers', topics: [record], belonging },
    payload: () => sources.activityOf(event),
  })
  return messages
}

/** Whose the record is after the event. Without a record it is nobody's: only who may read all of them is told. */
function belongingOf(entity: Entity, event: DomainEvent): Belonging {
  const record = event.record ?? {}
  const ownerIds = (entity.heldBy ?? []).flatMap((member) => record[member]).filter((id) => typeof id === 'string')
  return { ownerIds, createdById: typeof record.createdById === 'string' ? record.createdById : null }
}
