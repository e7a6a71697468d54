import type { Server } from 'socket.io'
import type { Ctx } from '../../kernel/context.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Logger } from '../../kernel/log.ts'
import type { FieldRules } from '../../kernel/rights.ts'
import { isObject } from '../../kernel/sight.ts'
import type { Client, Clients } from './client.ts'
import type { Item, Message } from './messages.ts'
import { outgoing } from './outgoing.ts'
import { type Place, printPlace } from './place.ts'
import type { Sequenced } from './sequence.ts'
import type { Topics } from './topics.ts'

/** Brings messages to sockets: at once to those that are not held, later and in order to the others. */
export interface Delivery {
  deliver(sequenced: readonly Sequenced[]): void
  /**
   * Lets a client's messages queue up until the work is done, and all other work that holds it. What they lead to is
   * worked out at the end: by then its rights and what it follows are what the work has made of them.
   */
  hold(client: Client, work: () => Promise<void>): void
}

const heldRoom = 'held'
const longestBacklog = 20_000

/** Makes the delivery of this process. */
export function createDelivery(deps: {
  io: Server
  log: Logger
  clients: Clients
  topics: Topics
  messagesOf(event: DomainEvent): readonly Message[]
  /** Up to where the hub has passed everything on, and what waits there. */
  hub: { readonly place: Place; readonly waiting: ReadonlySet<string> }
  unreadCount(ctx: Ctx): Promise<number>
  close(client: Client, reason: 'too_slow' | 'failed'): void
}): Delivery {
  const { io, log, clients, topics, messagesOf, hub, unreadCount, close } = deps
  const heldClients = new Map<string, Set<Client>>()

  const deliver = (sequenced: readonly Sequenced[]): void => {
    const items = sequenced
      .filter(({ event }) => clients.ofTenant(event.tenantId).size > 0)
      .map(({ place, event }) => ({ place, event, messages: messagesOf(event) }))
    for (const client of awaitingCount(items, clients)) hold(client, async () => {})
    for (const item of items) {
      for (const client of heldClients.get(item.event.tenantId) ?? []) queue(client, item)
      for (const message of item.messages) broadcast(item, message)
    }
  }

  const broadcast = (item: Item, message: Message): void => {
    const { audience, name, payload, slot } = message
    if (payload === null) return
    const rooms =
      audience.kind === 'user'
        ? [{ room: audience.topic, fields: undefined }]
        : topics.rooms(audience.topics, audience.belonging)
    if (rooms.length === 0 || (audience.kind === 'user' && clients.ofUser(audience.topic).size === 0)) return
    const body = payload()
    if (body === null) return
    const tell = (to: string | string[], told: Readonly<Record<string, unknown>> | null) =>
      told &&
      io
        .to(to)
        .except(heldRoom)
        .emit(name, { ...told, eventId: eventIdOf(item, slot) })
    const whole = rooms.filter(({ fields }) => !fields).map(({ room }) => room)
    if (whole.length > 0) tell(whole, body)
    for (const { room, fields } of rooms) if (fields) tell(room, shown(item, message, body, fields))
  }

  const queue = (client: Client, item: Item): void => {
    if (item.messages.length === 0) return
    client.backlog ??= []
    client.backlog.push(item)
    // A count that was read before this item can be too old for it.
    if (item.messages.some((message) => message.payload === null)) client.unreadCount = null
    if (client.backlog.length > longestBacklog) close(client, 'too_slow')
  }

  const hold = (client: Client, work: () => Promise<void>): void => {
    if (client.closed) return
    if (client.holds === 0) {
      client.heldFrom = hub.place
      client.heldWaiting = hub.waiting
      put(client)
      void client.socket.join(heldRoom)
    }
    client.holds++
    work()
      .catch((error: unknown) => {
        log.error(
          { err: error, tenantId: client.tenantId },
          'a socket is closed because its messages could not be told',
        )
        close(client, 'failed')
      })
      .finally(() => {
        client.holds--
        drain(client)
      })
  }

  const drain = (client: Client): void => {
    if (client.closed) release(client)
    if (client.closed || client.holds > 0) return
    const messages = outgoing(client)
    const counts = messages.filter(({ message }) => message.payload === null)
    if (counts.length > 0 && client.unreadCount === null) {
      hold(client, () => count(client))
      return
    }
    for (const { item, message } of messages) {
      const body = message.payload ? message.payload() : message === counts.at(-1)?.message ? counted(client) : null
      const fields = client.signedIn.ctx.rights.fields?.(item.event.type)
      const told = body && fields ? shown(item, message, body, fields) : body
      if (told) client.socket.emit(message.name, { ...told, eventId: eventIdOf(item, message.slot) })
    }
    for (const follow of client.follows.values()) follow.caughtUp = true
    client.caughtUp = true
    release(client)
  }

  const count = async (client: Client): Promise<void> => {
    const asked = { value: null }
    client.unreadCount = asked
    const value = await unreadCount(client.signedIn.ctx).catch((error: unknown) => {
      log.warn({ err: error, tenantId: client.tenantId }, 'an unread count could not be told')
      return null
    })
    if (client.unreadCount === asked) client.unreadCount = { value }
  }

  const put = (client: Client): void => {
    const held = heldClients.get(client.tenantId) ?? new Set()
    held.add(client)
    heldClients.set(client.tenantId, held)
  }

  const release = (client: Client): void => {
    client.backlog = null
    client.missed = null
    client.unreadCount = null
    const held = heldClients.get(client.tenantId)
    held?.delete(client)
    if (held?.size === 0) heldClients.delete(client.tenantId)
    void client.socket.leave(heldRoom)
  }

  return { deliver, hold }
}

const eventIdOf = (item: Item, slot: number): string => printPlace({ ...item.place, n: item.place.n + slot })

/** Who is told his unread count: it must be looked up, and nothing may overtake it meanwhile. */
function awaitingCount(items: readonly Item[], clients: Clients): Set<Client> {
  const found = new Set<Client>()
  for (const { messages } of items) {
    for (const { payload, audience } of messages) {
      if (payload !== null || audience.kind !== 'user') continue
      for (const client of clients.ofUser(audience.topic)) found.add(client)
    }
  }
  return found
}

function counted(client: Client): { unreadCount: number } | null {
  const value = client.unreadCount?.value ?? null
  return value === null ? null : { unreadCount: value }
}

/** What a message is to those from whom members of records of its event's type are hidden. */
function shown(
  { event }: Item,
  { mask }: Message,
  body: Readonly<Record<string, unknown>>,
  fields: FieldRules,
): Readonly<Record<string, unknown>> | null {
  if (!mask) return body
  const told = mask({ fields: (type) => (type === event.type ? fields : undefined) }, body)
  return isObject(told) ? told : null
}
