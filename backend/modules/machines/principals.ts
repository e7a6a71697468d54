import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import { rightsChangers } from '../../entities/users/rights-changers.ts'
import { type Actor, type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { unauthenticated } from '../../kernel/errors.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Bearer, SignedIn } from '../../kernel/http/authenticator.ts'
import { createRecall } from '../../kernel/http/recall.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Rights } from '../../kernel/rights.ts'
import type { ServiceTokens } from './access-tokens.ts'
import { liesIn } from './addresses.ts'
import { findLive, type LiveMachine } from './machine.queries.ts'
import { limited, narrowed, rightsOfService } from './scopes.ts'
import { isSecret, prefixOf } from './secret.ts'

/** What the authentication of machines is made of. */
export interface MachineDeps {
  readonly db: Database
  readonly log: Logger
  readonly tokens: ServiceTokens
  /** What a user may do now; undefined when he is no active member. */
  rightsOf(tenantId: string, userId: string): Promise<Rights | undefined>
}

/** Lets machines in, and knows what they may do. */
export interface MachinePrincipals {
  /** API keys, sent as bearer tokens. */
  readonly keys: Bearer
  /** Access tokens of service accounts. */
  readonly services: Bearer
  /** The service account of a client id and secret, and the prefix of the secret; undefined when they are not those of one that may act from there. */
  service(
    clientId: string,
    secret: string,
    caller: Caller,
  ): Promise<{ tenantId: string; prefix: string; machine: LiveMachine } | undefined>
  /** What a machine may do now; undefined when it may not act any more. */
  rightsOf(tenantId: string, id: string): Promise<Rights | undefined>
  /** Forgets who is concerned by events. */
  forget(events: readonly Pick<DomainEvent, 'tenantId' | 'type'>[]): void
}

interface Principal {
  readonly machine: LiveMachine
  readonly rights: Rights
  touchedAt: number
}

const touchEvery = 60_000

/** Makes the principals. What a prefix is never changes, so that is kept for long; who may do what is the log's to say. */
export function createMachinePrincipals(deps: MachineDeps): MachinePrincipals {
  const { db, log, tokens } = deps
  const secrets = new LRUCache<string, FoundSecret>({ max: 10_000 })
  const principals = createRecall<Principal | undefined>(rightsChangers)

  const secretOf = async (prefix: string, text: string): Promise<FoundSecret | undefined> => {
    const known = secrets.get(prefix) ?? (await findSecret(db, prefix))
    if (!known || !isSecret(text, known.hash)) return undefined
    secrets.set(prefix, known)
    return known
  }
  const principalOf = (tenantId: string, id: string, prefix: string | null): Promise<Principal | undefined> =>
    principals.recall(tenantId, `${id} ${prefix ?? ''}`, () => load(deps, tenantId, id, prefix))
  const touch = (tenantId: string, principal: Principal, ip: string | null): void => {
    if (Date.now() - principal.touchedAt < touchEvery) return
    principal.touchedAt = Date.now()
    db.tenant(systemCtx(tenantId))
      .query(sql`
        update machines set last_used_at = now(), last_used_address = ${ip}
        where tenant_id = ${tenantId} and id = ${principal.machine.id}
          and (last_used_at is null or last_used_at < now() - make_interval(secs => ${touchEvery / 1000}))`)
      .catch((error: unknown) => log.warn({ err: error }, 'the last use of a machine could not be noted'))
  }
  const admit = (tenantId: string, principal: Principal | undefined, caller: Caller): Principal => {
    if (!principal) throw unauthenticated('The key is revoked, has expired, or who made it is gone; make another')
    if (!liesIn(caller.ip, principal.machine.allowedAddresses))
      throw unauthenticated('This key is not good from your address')
    touch(tenantId, principal, caller.ip)
    return principal
  }

  return {
    keys: {
      takes: (token) => token.startsWith('cf_'),
      signedIn: async (token, caller) => {
        const prefix = prefixOf('api_key', token)
        const found = prefix === undefined ? undefined : await secretOf(prefix, token)
        if (!found || prefix === undefined) throw unauthenticated()
        const { tenantId, machineId } = found
        const principal = admit(tenantId, await principalOf(tenantId, machineId, prefix), caller)
        return signedIn(tenantId, principal, caller, principal.machine.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY)
      },
    },
    services: {
      takes: tokens.takes,
      signedIn: async (token, caller) => {
        const { tid, sub, prefix, exp, scope } = tokens.read(token)
        const principal = admit(tid, await principalOf(tid, sub, prefix), caller)
        if (principal.machine.kind !== 'service_account') throw unauthenticated()
        const rights = scope === undefined ? principal.rights : limited(principal.rights, scope.split(' '))
        return signedIn(tid, { ...principal, rights }, caller, exp * 1000)
      },
    },
    service: async (clientId, secret, caller) => {
      const prefix = prefixOf('service_account', secret)
      const found = prefix === undefined ? undefined : await secretOf(prefix, secret)
      if (!found || prefix === undefined || found.machineId !== clientId.toLowerCase()) return undefined
      const principal = await principalOf(found.tenantId, found.machineId, prefix)
      if (!principal || !liesIn(caller.ip, principal.machine.allowedAddresses)) return undefined
      touch(found.tenantId, principal, caller.ip)
      return { tenantId: found.tenantId, prefix, machine: principal.machine }
    },
    rightsOf: async (tenantId, id) => (await principalOf(tenantId, id, null))?.rights,
    forget: principals.forget,
  }
}

interface FoundSecret {
  readonly tenantId: string
  readonly machineId: string
  readonly hash: Buffer
}

async function findSecret(db: Database, prefix: string): Promise<FoundSecret | undefined> {
  const [row] = await db.anonymous<FoundSecret>(sql`
    select tenant_id as "tenantId", machine_id as "machineId", hash from find_machine_secret(${prefix})`)
  return row
}

async function load(
  { db, rightsOf }: MachineDeps,
  tenantId: string,
  id: string,
  prefix: string | null,
): Promise<Principal | undefined> {
  const machine = await findLive(db.tenant(systemCtx(tenantId)), id, prefix)
  if (!machine) return undefined
  const touchedAt = machine.lastUsedAt?.getTime() ?? 0
  if (machine.kind === 'service_account') return { machine, rights: rightsOfService(id, machine.scopes), touchedAt }
  const maker = await rightsOf(tenantId, machine.createdById)
  return maker && { machine, rights: narrowed(maker, machine.scopes), touchedAt }
}

const actorTypes = { api_key: 'api_key', service_account: 'service' } as const satisfies Record<
  LiveMachine['kind'],
  Actor['type']
>

function signedIn(
  tenantId: string,
  { machine, rights }: Principal,
  { requestId, ip, userAgent }: Caller,
  expiresAt: number,
): SignedIn {
  const ctx: Ctx = {
    tenantId,
    actor: { id: machine.id, type: actorTypes[machine.kind], name: machine.name },
    rights,
    sessionId: null,
    requestId,
    operationId: newId(),
    ip,
    userAgent,
    lane: 'live',
  }
  return { ctx, expiresAt }
}
