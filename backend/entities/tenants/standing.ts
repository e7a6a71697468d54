import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { notFound, Problem } from '../../kernel/errors.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Authenticator, SignedIn } from '../../kernel/http/authenticator.ts'
import { limitsOf, type Plans } from './plans.ts'

/** How a tenant stands with the platform. */
export interface Standing {
  readonly suspended: boolean
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

/** The log can stand behind another's open transaction; so old a standing is looked up anew all the same. */
const believedFor = 1_000

/** Looks up how tenants stand. `read` gives a tenant's statements a context. */
export function createStandings(read: (tenantId: string) => Tx, plans: Plans): Standings {
  const known = new LRUCache<string, Promise<Standing>>({ max: 10_000, ttl: believedFor })
  return {
    of: (tenantId) => {
      const found = known.get(tenantId)
      if (found) return found
      const loading = load(read(tenantId), plans)
      known.set(tenantId, loading)
      loading.catch(() => known.delete(tenantId))
      return loading
    },
    forget: (events) => {
      for (const { type, tenantId } of events) if (type === 'tenant') known.delete(tenantId)
    },
  }
}

/** An authenticator that lets nobody of a suspended tenant in, with whatever token, and knows how many calls a tenant has. */
export function holdingTenants(own: Authenticator, standings: Standings): Authenticator {
  const held = async (signedIn: SignedIn): Promise<SignedIn> => {
    const { suspended, callsPerMinute } = await standings.of(signedIn.ctx.tenantId)
    if (suspended) throw tenantSuspended()
    return { ...signedIn, callsPerMinute }
  }
  return {
    identify: async (token, caller) => {
      const who = await own.identify(token, caller)
      return who.operator ? who : held(who)
    },
    authenticate: async (token, caller) => held(await own.authenticate(token, caller)),
  }
}

async function load(tx: Tx, plans: Plans): Promise<Standing> {
  const [row] = await tx.query(sql`
    select suspended_at is not null as suspended, plan, limits from tenants where id = ${tx.ctx.tenantId}`)
  if (!row) throw notFound()
  const { callsPerMinute } = limitsOf(plans, { plan: row.plan, limits: row.limits })
  return { suspended: row.suspended, callsPerMinute }
}
