import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import { rightsChangers } from '../../entities/users/rights-changers.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { Problem, unauthenticated } from '../../kernel/errors.ts'
import type { Bearer } from '../../kernel/http/authenticator.ts'
import { createRecall, type Recall } from '../../kernel/http/recall.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import type { Issuer } from '../../kernel/issuers.ts'
import type { Rights } from '../../kernel/rights.ts'
import { givesRoles, showsFactor } from './claims.ts'
import { admit, type Known } from './people.ts'
import type { Provider } from './providers.ts'

/** What bearer tokens of issuers are checked with. */
export interface BearerDeps {
  readonly db: Database
  readonly users: Repository
  readonly providers: readonly Provider[]
  rightsOf(tenantId: string, userId: string): Promise<Rights | undefined>
}

interface Principal {
  readonly name: string
  readonly rights: Rights
}

interface Accepted extends Known {
  readonly issuer: Issuer
  readonly lacksFactor: boolean
  readonly exp: number
}

/** For so long a token is believed without asking for its keys and roles again: one that was withdrawn ends by then. */
const believedFor = 60_000

/** Tokens that other issuers signed, as bearer tokens of ours. */
export function openidBearer(deps: BearerDeps): Bearer & Pick<Recall<unknown>, 'forget'> {
  const byIssuer = new Map(deps.providers.map((provider) => [provider.issuer.issuer, provider]))
  const accepted = new LRUCache<string, Promise<Accepted>>({ max: 10_000, ttl: believedFor })
  const principals = createRecall<Principal | undefined>(rightsChangers)

  const accept = async (token: string, caller: Caller): Promise<Accepted> => {
    const provider = byIssuer.get(issuerOf(token) ?? '')
    if (!provider) throw unauthenticated()
    const claims = await provider.verify(token)
    try {
      const known = await admit(deps, provider.issuer, claims, 'bearer', causeOf(caller))
      const lacksFactor = !showsFactor(provider.issuer, claims)
      return { ...known, issuer: provider.issuer, lacksFactor, exp: claims.exp }
    } catch (error) {
      // Nobody of ours: whoever that is, he has not signed in here.
      throw error instanceof Problem && error.status === 403 ? unauthenticated(error.message) : error
    }
  }

  return {
    takes: (token) => byIssuer.size > 0 && byIssuer.has(issuerOf(token) ?? ''),
    signedIn: async (token, caller) => {
      const known = accepted.get(token) ?? accept(token, caller)
      accepted.set(token, known, { noUpdateTTL: true })
      known.catch(() => accepted.delete(token))
      const { tenantId, userId, issuer, lacksFactor, exp } = await known
      if (exp * 1000 <= Date.now()) throw unauthenticated('The access token has expired')
      const principal = await principals.recall(tenantId, `${issuer.id} ${userId}`, () =>
        load(deps, issuer, tenantId, userId),
      )
      if (!principal) throw unauthenticated('You are no active member of this tenant')
      const ctx: Ctx = {
        tenantId,
        actor: { id: userId, type: 'user', name: principal.name },
        rights: principal.rights,
        sessionId: null,
        operationId: newId(),
        lane: 'live',
        ...causeOf(caller),
      }
      return { ctx, lacksFactor, expiresAt: exp * 1000 }
    },
    forget: principals.forget,
  }
}

const causeOf = ({ requestId, ip, userAgent }: Caller) => ({ requestId, ip, userAgent })

/** Who claims to have signed a token, of one that is signed with a key of two halves; nothing is believed of it yet. */
function issuerOf(token: string): string | undefined {
  const [header, payload, signature] = token.split('.', 3)
  if (signature === undefined || !/^(RS|PS|ES|Ed)/.test(String(decoded(header)?.alg))) return undefined
  const issuer = decoded(payload)?.iss
  return typeof issuer === 'string' ? issuer : undefined
}

function decoded(part: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

async function load(
  { db, rightsOf }: BearerDeps,
  issuer: Issuer,
  tenantId: string,
  userId: string,
): Promise<Principal | undefined> {
  const rights = await rightsOf(tenantId, userId)
  if (!rights) return undefined
  const [user] = await db.tenant(systemCtx(tenantId)).query<{ name: string; refused: boolean }>(sql`
    select u.name, coalesce(bool_and(i.refused), false) as refused
    from users u left join openid_identities i
      on i.tenant_id = u.tenant_id and i.user_id = u.id and i.issuer = ${issuer.issuer}
    where u.tenant_id = ${tenantId} and u.id = ${userId} group by u.name`)
  if (!user || (user.refused && givesRoles(issuer))) return undefined
  return { name: user.name, rights }
}
