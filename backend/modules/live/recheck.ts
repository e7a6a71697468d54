import { setImmediate as nextTurn } from 'node:timers/promises'
import { sleep } from '../../kernel/clock.ts'
import { Problem } from '../../kernel/errors.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { SignedIn } from '../../kernel/http/authenticator.ts'
import type { Client, Clients } from './client.ts'
import type { Reason } from './control.ts'

/** Checks sockets anew when the log tells that somebody's session or rights have changed. */
export interface Recheck {
  /** Grows when the log brings such news. */
  readonly doubts: number
  hear(events: readonly DomainEvent[]): void
  /** Holds a client back until its token and rights have been checked anew. */
  client(client: Client): void
}

const attempts = 4

/** Makes the recheck of this process's sockets. */
export function createRecheck(deps: {
  clients: Clients
  hold(client: Client, work: () => Promise<void>): void
  authenticate(client: Client): Promise<SignedIn>
  accept(client: Client, signedIn: SignedIn): void
  close(client: Client, reason: Reason): void
}): Recheck {
  const { clients, hold, authenticate, accept, close } = deps
  let doubts = 0

  const client = (client: Client): void => {
    client.suspicion++
    if (client.rechecking) return
    client.rechecking = true
    hold(client, async () => {
      try {
        await check(client)
      } finally {
        client.rechecking = false
      }
    })
  }

  const check = async (client: Client): Promise<void> => {
    for (let failures = 0; !client.closed; ) {
      const { suspicion, token } = client
      // Whoever else hears the same news drops his caches in this turn.
      await nextTurn()
      try {
        const signedIn = await authenticate(client)
        if (suspicion !== client.suspicion || token !== client.token) continue
        return accept(client, signedIn)
      } catch (error) {
        if (token !== client.token) continue
        const reason = error instanceof Problem && reasonOf(client, error)
        if (reason) return close(client, reason)
        if (++failures === attempts) throw error
        await sleep(100 * 2 ** failures)
      }
    }
  }

  return {
    get doubts() {
      return doubts
    },
    hear: (events) => {
      for (const event of events) {
        const touches = concerns[event.type]
        if (!touches) continue
        doubts++
        for (const each of clients.ofTenant(event.tenantId)) if (touches(each, event)) client(each)
      }
    },
    client,
  }
}

/** Why whom a problem keeps out is to go; undefined when it may pass. */
const reasonOf = (client: Client, { status, code }: Problem): Reason | undefined =>
  status === 401 ? endOf(client) : shutOut[code]

const shutOut: Readonly<Record<string, Reason>> = {
  TENANT_SUSPENDED: 'tenant_suspended',
  TWO_FACTOR_ENROLMENT_REQUIRED: 'second_factor_required',
}

/** Why a token that was good is no longer. */
export const endOf = (client: Client): Reason =>
  client.signedIn.expiresAt <= Date.now() ? 'token_expired' : 'session_ended'

/** Whom news of a type concerns: himself, and whose rights hang on who belongs to his team. */
const concerns: Readonly<Record<string, (client: Client, event: DomainEvent) => boolean>> = {
  session: (client, event) => isHis(client, event),
  user: (client, event) => isHis(client, event) || readsByTeam(client),
  team: (client) => readsByTeam(client),
  role: () => true,
  api_key: (client, event) => isHis(client, event),
  service_account: (client, event) => isHis(client, event),
  // With its settings a tenant may ask for a second factor.
  tenant: (_client, { name, changes }) =>
    name === 'tenant.suspended' || (changes ?? []).some(({ field }) => field === 'settings'),
}

function isHis(client: Client, { recordId, data, actor }: DomainEvent): boolean {
  const { sessionId, rights } = client.signedIn.ctx
  const named = [recordId, data.userId, data.sessionId, actor.id]
  return (
    named.includes(client.userId) || named.includes(rights.userId) || (sessionId !== null && named.includes(sessionId))
  )
}

const readsByTeam = (client: Client): boolean => [...client.follows.values()].some(({ sight }) => sight.scope !== 'all')
