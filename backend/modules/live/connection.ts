import type { Server, Socket } from 'socket.io'
import type { SignedIn } from '../../kernel/http/authenticator.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Admitted } from './admission.ts'
import { type Client, type Clients, newClient } from './client.ts'
import type { Control } from './control.ts'
import type { Follows } from './follows.ts'
import type { Hub } from './hub.ts'
import type { Recheck } from './recheck.ts'
import { allowance } from './requests.ts'
import type { Resume } from './resume.ts'

const warnBefore = 60_000
const longestTimer = 2_147_483_647

/** Follows each connection from its beginning to its end. */
export function serveConnections(
  io: Server,
  deps: {
    log: Logger
    clients: Clients
    follows: Follows
    hub: Hub
    control: Control
    recheck: Recheck
    resume: Resume
    admitted(socket: Socket): Admitted | undefined
    readonly presence: PresenceHere
    request(client: Client, name: string, args: readonly unknown[]): void
  },
): void {
  const { log, clients, follows, hub, control, recheck, resume, admitted, presence, request } = deps
  io.on('connection', (socket) => {
    const found = admitted(socket)
    if (!found) return void socket.disconnect(true)
    const { token, caller, signedIn, after } = found
    release(socket)
    const client = newClient(socket, signedIn, {
      token,
      caller,
      after: after === 'unknown' ? null : after,
      place: hub.place,
      allowance: allowance.burst,
    })
    clients.add(client)
    const person = personOf(signedIn)
    if (person) presence.came(person)
    void socket.join(client.userTopic)
    socket.on('error', (error) => log.debug({ err: error }, 'a socket sent what could not be read'))
    socket.on('disconnect', () => {
      client.closed = true
      clearTimeout(client.timer)
      follows.endAll(client)
      clients.remove(client)
      if (person) presence.left(person)
    })
    socket.onAny((name: string, ...args: unknown[]) => request(client, name, args))
    resume.connection(client)
    if (after === 'unknown') resume.gap(client)
    if (found.doubts !== recheck.doubts) recheck.client(client)
    watchToken(client, control)
  })
}

/** Told who has a socket here. */
export interface PresenceHere {
  came(person: { readonly tenantId: string; readonly userId: string }): void
  left(person: { readonly tenantId: string; readonly userId: string }): void
}

/** The person at a socket: a key is none, and an operator in a user's name is not the user. */
function personOf({ ctx: { tenantId, actor } }: SignedIn): { tenantId: string; userId: string } | undefined {
  if (actor.type !== 'user' || actor.id === null || actor.operator !== undefined) return undefined
  return { tenantId, userId: actor.id }
}

/** Lets a client go on with a token and rights that were checked just now. */
export function acceptWith(follows: Follows, control: Control): (client: Client, signedIn: SignedIn) => void {
  return (client, signedIn) => {
    client.signedIn = signedIn
    if (client.closed) return
    follows.review(client, signedIn.ctx.rights)
    watchToken(client, control)
  }
}

/** Warns a minute before the token ends, and closes when it does. */
function watchToken(client: Client, control: Control): void {
  clearTimeout(client.timer)
  const left = client.signedIn.expiresAt - Date.now()
  if (left > warnBefore) {
    const wait = Math.min(left - warnBefore, longestTimer)
    client.timer = setTimeout(() => watchToken(client, control), wait).unref()
    return
  }
  // A token that is checked anew meanwhile ends no earlier for it.
  const { expiresAt } = client.signedIn
  if (client.warnedOf !== expiresAt)
    control.tell(client, 'auth:expiring', { expiresAt: new Date(expiresAt).toISOString() })
  client.warnedOf = expiresAt
  client.timer = setTimeout(() => control.close(client, 'token_expired'), Math.max(left, 0)).unref()
}

/** Lets go of the handshake: it is most of the memory of an idle socket. */
function release(socket: Socket): void {
  Reflect.deleteProperty(socket.conn, 'request')
  socket.handshake.headers = {}
  socket.handshake.query = {}
  socket.handshake.auth = {}
}
