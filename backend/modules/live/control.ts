import type { Client } from './client.ts'
import { type Place, printMoment } from './place.ts'

/** Why we close a socket. */
export type Reason =
  | 'session_ended'
  | 'tenant_suspended'
  | 'second_factor_required'
  | 'token_expired'
  | 'server_stopping'
  | 'too_many_messages'
  | 'too_slow'
  | 'failed'

/** Messages that are of no event: about the connection itself. */
export interface Control {
  tell(client: Client, name: 'auth:expiring' | 'replay:gap', body: Readonly<Record<string, unknown>>): void
  /** Says why and closes. After `server_stopping` clients come back by themselves, as after a lost connection. */
  close(client: Client, reason: Reason): void
}

/** Makes the control of this process's sockets. */
export function createControl(hub: { readonly place: Place }): Control {
  const emit = (client: Client, name: string, body: Readonly<Record<string, unknown>>) =>
    client.socket.emit(name, { ...body, eventId: printMoment(hasUpTo(client, hub.place)) })
  return {
    tell: emit,
    close: (client, reason) => {
      if (client.closed) return
      client.closed = true
      emit(client, 'connection:closing', { reason })
      if (reason === 'server_stopping') client.socket.conn.close()
      else client.socket.disconnect(true)
    },
  }
}

/** The place up to which a client has everything: with it as `after` nothing is lost. */
function hasUpTo(client: Client, passedOn: Place): Place {
  if (client.after && !client.caughtUp) return client.after.place
  return client.holds > 0 ? client.heldFrom : passedOn
}
