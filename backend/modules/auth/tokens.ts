import { createHash, createHmac } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { LRUCache } from 'lru-cache'
import { unauthenticated } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'
import { type Mark, readSignedToken, signedToken } from '../../kernel/signed-token.ts'

/** Seconds that an access token is good for. */
export const accessTokenSeconds = 15 * 60

/** What an access token says. `role` only informs: rights are read at each request. */
export interface Claims {
  readonly sub: string
  readonly tid: string
  readonly role: string
  readonly sid: string
  /** Seconds since the epoch. */
  readonly exp: number
}

/** What the access token of a platform operator says: no tenant. */
export interface OperatorClaims {
  readonly sub: string
  readonly tid?: undefined
  readonly role: 'operator'
  readonly sid: string
  /** Seconds since the epoch. */
  readonly exp: number
}

/** Makes and checks tokens under one secret. */
export interface Tokens {
  issueAccess(claims: Omit<Claims, 'exp'>): string
  issueOperatorAccess(claims: Omit<OperatorClaims, 'exp' | 'tid'>): string
  /** Throws 401 when it is forged, expired or not ours. */
  readAccess(token: string): Claims | OperatorClaims
  /** The refresh token of a generation: the same each time, so that it can be given again though only hashes are stored. */
  refreshToken(sessionId: string, generation: number): string
  /** What a refresh token claims to be; undefined when it is not ours. */
  readRefresh(token: string): { sessionId: string; generation: number } | undefined
  readonly mark: Mark
}

/** Tokens signed with HMAC-SHA256; a verified one is kept until it expires, as verification is a fifth of a request. */
export function createTokens(secret: string): Tokens {
  const verified = new LRUCache<string, Claims | OperatorClaims>({ max: 10_000 })
  const mark: Mark = (text) => createHmac('sha256', secret).update(text).digest()
  const issue = (claims: object) => jwt.sign(claims, secret, { algorithm: 'HS256', expiresIn: accessTokenSeconds })
  return {
    issueAccess: issue,
    issueOperatorAccess: issue,
    mark,
    readAccess: (token) => {
      const known = verified.get(token)
      const claims = known ?? verify(token, secret)
      if (claims.exp * 1000 <= Date.now()) throw unauthenticated('The access token has expired')
      if (!known) verified.set(token, claims)
      return claims
    },
    refreshToken: (sessionId, generation) => signedToken(mark, 'refresh', { id: sessionId, generation }),
    readRefresh: (token) => {
      const signed = readSignedToken(mark, 'refresh', token)
      return signed && { sessionId: signed.id, generation: signed.generation }
    },
  }
}

/** What is stored of a refresh token. */
export const hashToken = (token: string): Buffer => createHash('sha256').update(token).digest()

function verify(token: string, secret: string): Claims | OperatorClaims {
  let payload: unknown
  try {
    payload = jwt.verify(token, secret, { algorithms: ['HS256'] })
  } catch (error) {
    throw error instanceof jwt.TokenExpiredError ? unauthenticated('The access token has expired') : unauthenticated()
  }
  if (!isClaims(payload)) throw unauthenticated()
  return payload
}

function isClaims(payload: unknown): payload is Claims | OperatorClaims {
  if (typeof payload !== 'object' || payload === null) return false
  const { sub, tid, role, sid, exp }: Partial<Record<keyof Claims, unknown>> = payload
  const whose = tid === undefined ? role === 'operator' : isId(tid)
  return whose && isId(sub) && isId(sid) && typeof exp === 'number'
}
