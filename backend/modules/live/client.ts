import type { Socket } from 'socket.io'
import { type Ctx, isMachine } from '../../kernel/context.ts'
import type { SignedIn } from '../../kernel/http/authenticator.ts'
import type { Caller } from '../../kernel/http/route.ts'
import type { Item } from './messages.ts'
import type { EventId, Place } from './place.ts'
import { type Sight, userTopic } from './topics.ts'

/** What a client follows: one record, or a whole resource when `id` is null. */
export interface Follow {
  readonly type: string
  readonly id: string | null
  readonly topic: string
  sight: Sight
  room: string
  /** Whether it has what was missed before; from then on it lives. */
  caughtUp: boolean
}

/** A connected socket with all that we know of it. */
export interface Client {
  readonly socket: Socket
  readonly caller: Caller
  readonly tenantId: string
  readonly userId: string
  readonly userTopic: string
  token: string
  signedIn: SignedIn
  timer: NodeJS.Timeout | undefined
  /** The end of a token, in milliseconds since the epoch, of which the client has been told that it is near. */
  warnedOf: number | undefined
  closed: boolean
  /** Grows with each event that may change who he is or what he may do; a check that began before is done again. */
  suspicion: number
  rechecking: boolean
  readonly follows: Map<string, Follow>
  /** The last message that the client has from an earlier connection. */
  after: EventId | null
  /** Whether its own notifications of the time without connection have been sent. */
  caughtUp: boolean
  /** Topics whose missed messages were sent in this connection: they are not sent again. */
  readonly resumed: Set<string> | null
  /** Requests that are being answered, and when the last one came. */
  asking: number
  askedAt: number
  queue: Promise<void>
  allowance: number
  allowanceAt: number
  /** While held, messages queue up here instead of going out. */
  holds: number
  heldFrom: Place
  heldWaiting: ReadonlySet<string>
  backlog: Item[] | null
  missed: readonly Item[] | null
  unreadCount: { readonly value: number | null } | null
}

const nothing: ReadonlySet<string> = new Set()

/** Who listens: a key is not who made it, and hears nothing of his inbox. */
export const listenerOf = (ctx: Ctx): string => (isMachine(ctx) ? (ctx.actor.id ?? '') : ctx.rights.userId)

/** A client at the moment of its connection. */
export function newClient(
  socket: Socket,
  signedIn: SignedIn,
  given: { token: string; caller: Caller; after: EventId | null; place: Place; allowance: number },
): Client {
  const { tenantId } = signedIn.ctx
  const userId = listenerOf(signedIn.ctx)
  return {
    socket,
    caller: given.caller,
    tenantId,
    userId,
    userTopic: userTopic(tenantId, userId),
    token: given.token,
    signedIn,
    timer: undefined,
    warnedOf: undefined,
    closed: false,
    suspicion: 0,
    rechecking: false,
    follows: new Map(),
    after: given.after,
    caughtUp: given.after === null,
    resumed: given.after ? new Set() : null,
    asking: 0,
    askedAt: Date.now(),
    queue: Promise.resolve(),
    allowance: given.allowance,
    allowanceAt: Date.now(),
    holds: 0,
    heldFrom: given.place,
    heldWaiting: nothing,
    backlog: null,
    missed: null,
    unreadCount: null,
  }
}

/** The clients of this process, by tenant and by user. */
export interface Clients {
  readonly size: number
  add(client: Client): void
  remove(client: Client): void
  all(): Iterable<Client>
  ofTenant(tenantId: string): ReadonlySet<Client>
  /** Those who get the messages of a user's topic. */
  ofUser(topic: string): ReadonlySet<Client>
}

/** Makes the empty register of clients. */
export function createClients(): Clients {
  const all = new Set<Client>()
  const byTenant = new Map<string, Set<Client>>()
  const byUser = new Map<string, Set<Client>>()
  return {
    get size() {
      return all.size
    },
    add: (client) => {
      all.add(client)
      put(byTenant, client.tenantId, client)
      put(byUser, client.userTopic, client)
    },
    remove: (client) => {
      all.delete(client)
      drop(byTenant, client.tenantId, client)
      drop(byUser, client.userTopic, client)
    },
    all: () => all,
    ofTenant: (tenantId) => byTenant.get(tenantId) ?? nobody,
    ofUser: (topic) => byUser.get(topic) ?? nobody,
  }
}

const nobody: ReadonlySet<Client> = new Set()

function put(index: Map<string, Set<Client>>, key: string, client: Client): void {
  const clients = index.get(key)
  if (clients) clients.add(client)
  else index.set(key, new Set([client]))
}

function drop(index: Map<string, Set<Client>>, key: string, client: Client): void {
  const clients = index.get(key)
  clients?.delete(client)
  if (clients?.size === 0) index.delete(key)
}
