import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { LRUCache } from 'lru-cache'
import { unauthenticated } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'

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
  /** A mark of a text that only holders of the secret can make; the text cannot be read out of it. */
  mark(text: string): Buffer
}

/** Tokens signed with HMAC-SHA256; a verified one is kept until it expires, as verification is a fifth of a request. */
export function createTokens(secret: string): Tokens {
  const verified = new LRUCache<string, Claims | OperatorClaims>({ max: 10_000 })
  const mark = (text: string) => createHmac('sha256', secret).update(text).digest()
  const mac = (sessionId: string, generation: number) => mark(`refresh ${sessionId} ${generation}`)
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
    refreshToken: (sessionId, generation) =>
      `${sessionId}.${generation}.${mac(sessionId, generation).toString('base64url')}`,
    readRefresh: (token) => {
      const [, sessionId = '', generation = '', signature = ''] =
        /^([0-9a-f-]{36})\.(\d{1,9})\.([\w-]{43})$/.exec(token) ?? []
      if (!isId(sessionId)) return undefined
      const given = Buffer.from(signature, 'base64url')
      const right = mac(sessionId, Number(generation))
      return given.length === right.length && timingSafeEqual(given, right)
        ? { sessionId, generation: Number(generation) }
        : undefined
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
