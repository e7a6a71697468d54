import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { notFound, Problem } from '../../kernel/errors.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Authenticator, SignedIn } from '../../kernel/http/authenticator.ts'
import { createRecall } from '../../kernel/http/recall.ts'
import { limitsOf, type Plans } from './plans.ts'

/** How a tenant stands with the platform. */
export interface Standing {
  readonly suspended: boolean
  /** Whether everybody needs a second factor by now. */
  readonly asksForFactor: boolean
  /** Calls of all its users and keys together within a minute; null: as many as they like. */
  readonly callsPerMinute: number | null
}

/** How tenants stand, looked up at most once a second each. */
export interface Standings {
  of(tenantId: string): Promise<Standing>
  /** Forgets the tenants that events are of. */
  forget(events: readonly Pick<DomainEvent, 'tenantId' | 'type'>[]): void
}

/** Throws 403 for a tenant that is suspended. */
export async function refuseSuspended(standings: Standings, tenantId: string): Promise<void> {
  if ((await standings.of(tenantId)).suspended) throw tenantSuspended()
}

/** 403: whoever runs the installation has stopped the tenant. */
export const tenantSuspended = (): Problem =>
  new Problem(403, 'TENANT_SUSPENDED', 'This tenant is suspended; ask whoever runs this installation')

/** Looks up how tenants stand. `read` gives a tenant's statements a context. */
export function createStandings(read: (tenantId: string) => Tx, plans: Plans): Standings {
  const known = createRecall<Standing>(new Set(['tenant']))
  return {
    of: (tenantId) => known.recall(tenantId, '', () => load(read(tenantId), plans)),
    forget: known.forget,
  }
}

/** 403: the tenant asks for a second factor, and none was shown. */
const enrolmentRequired = (): Problem =>
  new Problem(
    403,
    'TWO_FACTOR_ENROLMENT_REQUIRED',
    'This tenant asks for a second factor: enable one at /auth/2fa/enable or /auth/passkeys, or sign in with the one you have',
  )

/**
 * An authenticator that lets nobody of a suspended tenant in, with whatever token, and asks whoever lacks a second factor
 * for it where his tenant does. It knows how many calls a tenant has.
 */
export function holdingTenants(own: Authenticator, standings: Standings): Authenticator {
  const held = async (signedIn: SignedIn): Promise<SignedIn> => {
    const { suspended, asksForFactor, callsPerMinute } = await standings.of(signedIn.ctx.tenantId)
    if (suspended) throw tenantSuspended()
    const pending = asksForFactor && signedIn.lacksFactor ? enrolmentRequired() : undefined
    return { ...signedIn, pending, callsPerMinute }
  }
  return {
    identify: async (token, caller) => {
      const who = await own.identify(token, caller)
      return who.operator ? who : held(who)
    },
    authenticate: async (token, caller) => {
      const known = await held(await own.authenticate(token, caller))
      if (known.pending) throw known.pending
      return known
    },
  }
}

async function load(tx: Tx, plans: Plans): Promise<Standing> {
  const [row] = await tx.query(sql`
    select suspended_at is not null as suspended, plan, limits,
      coalesce((settings ->> 'requireTwoFactorFrom')::date::timestamp at time zone 'UTC' <= now(), false) as "asksForFactor"
    from tenants where id = ${tx.ctx.tenantId}`)
  if (!row) throw notFound()
  const { callsPerMinute } = limitsOf(plans, { plan: row.plan, limits: row.limits })
  return { suspended: row.suspended, asksForFactor: row.asksForFactor, callsPerMinute }
}
