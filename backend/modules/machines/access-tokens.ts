import jwt from 'jsonwebtoken'
import { LRUCache } from 'lru-cache'
import { unauthenticated } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'

/** Seconds that the access token of a service account is good for. */
export const serviceTokenSeconds = 15 * 60

/** What the access token of a service account says: no session stands behind it. */
export interface ServiceClaims {
  readonly sub: string
  readonly tid: string
  /** Of the secret with which it was got: it is good as long as that is. */
  readonly prefix: string
  /** What of its scopes was asked for, with blanks between; absent: all. */
  readonly scope?: string
  /** Seconds since the epoch. */
  readonly exp: number
}

/** Makes and checks the access tokens of service accounts. */
export interface ServiceTokens {
  issue(claims: Omit<ServiceClaims, 'exp'>): string
  /** Whether a token has the header of ours; all else is to be checked. */
  takes(token: string): boolean
  /** Throws 401 when it is forged, expired or no access token of a service account. */
  read(token: string): ServiceClaims
}

// RFC 9068: its type keeps it apart from the tokens of people, which our readers of either refuse of the other.
const header = { alg: 'HS256', typ: 'at+jwt' } as const
const audience = 'clientforge-service'
const beginning = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.`

/** Tokens signed with HMAC-SHA256; a verified one is kept until it expires. */
export function createServiceTokens(secret: string): ServiceTokens {
  const verified = new LRUCache<string, ServiceClaims>({ max: 10_000 })
  return {
    issue: (claims) =>
      jwt.sign(claims, secret, { algorithm: 'HS256', header, audience, expiresIn: serviceTokenSeconds }),
    takes: (token) => token.startsWith(beginning),
    read: (token) => {
      const claims = verified.get(token) ?? verify(token, secret)
      if (claims.exp * 1000 <= Date.now()) throw unauthenticated('The access token has expired')
      verified.set(token, claims)
      return claims
    },
  }
}

function verify(token: string, secret: string): ServiceClaims {
  let payload: unknown
  try {
    payload = jwt.verify(token, secret, { algorithms: ['HS256'], audience })
  } catch (error) {
    throw error instanceof jwt.TokenExpiredError ? unauthenticated('The access token has expired') : unauthenticated()
  }
  if (!isClaims(payload)) throw unauthenticated()
  return payload
}

function isClaims(payload: unknown): payload is ServiceClaims {
  if (typeof payload !== 'object' || payload === null) return false
  const { sub, tid, prefix, exp, scope }: Partial<Record<keyof ServiceClaims, unknown>> = payload
  const named = isId(sub) && isId(tid) && typeof prefix === 'string'
  return named && typeof exp === 'number' && (scope === undefined || typeof scope === 'string')
}
