import { createHash, timingSafeEqual } from 'node:crypto'
import sql from 'sql-template-tag'
import type { Operator } from '../../kernel/context.ts'
import type { Database, Row } from '../../kernel/db/database.ts'
import { unauthenticated } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { isId, newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { type Attempts, passwordClaim } from './attempts.ts'
import { deviceOf, judge } from './rotation.ts'
import { accessTokenSeconds, hashToken, type OperatorClaims, type Tokens } from './tokens.ts'

/** Hours after which an operator's session ends: of the API after its last refresh, of the page after the sign-in. */
export const operatorSessionHours = 12

/** Email and password as somebody sent them. */
export interface Credentials {
  readonly email: string
  readonly password: string
}

/** What an operator's sign-in gives: like a user's, with no tenant. */
export interface OperatorSignIn {
  readonly user: { readonly id: string; readonly email: string; readonly role: 'operator' }
  readonly tenant: null
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresIn: number
}

/** Who runs this installation: recognised by the configuration, signed in by the API or by the page of the queues. */
export interface Operators {
  /** Whether the configuration names one. */
  readonly configured: boolean
  /** Whether these are his credentials. Takes the same short time whatever they are. */
  recognises(credentials: Credentials): boolean
  signIn(caller: Caller): Promise<OperatorSignIn>
  refresh(caller: Caller, token: string, sessionId: string): Promise<OperatorSignIn>
  /** The operator of an access token. Throws 401 when its session has ended. */
  identify(claims: OperatorClaims, caller: Caller): Promise<Operator>
  /** Starts a session of the page and gives the value of its cookie. */
  openPage(caller: Caller): Promise<string>
  /** The operator of a page's cookie; undefined when it is forged or its session has ended. */
  identifyPage(cookie: string, caller: Caller): Promise<Operator | undefined>
  signOut(operator: Operator): Promise<void>
}

/** Operators of a configuration. Each call asks for the session anew: they are few, and an end holds at once. */
export function createOperators(deps: {
  readonly db: Database
  readonly tokens: Tokens
  readonly log: Logger
  readonly configured: Credentials | undefined
}): Operators {
  const { db, tokens, log } = deps
  const { worker } = db
  const markOf = ({ email, password }: Credentials): Buffer => tokens.mark(`operator ${normal(email)}\n${password}`)
  const email = normal(deps.configured?.email ?? '')
  const known = deps.configured && markOf(deps.configured)
  const id = idOf(email)

  const start = async (caller: Caller, sessionId: string, tokenHash: Buffer | null): Promise<void> => {
    if (!known) throw unauthenticated()
    await worker.query(sql`
      insert into operator_sessions (id, credential, token_hash, user_agent, ip, expires_at)
      values (${sessionId}, ${known}, ${tokenHash}, ${caller.userAgent}, ${caller.ip}, now() + make_interval(hours => ${operatorSessionHours}))`)
    log.info({ requestId: caller.requestId, sessionId }, 'a platform operator signed in')
  }
  const alive = async (sessionId: string): Promise<Row | undefined> => {
    if (!known) return undefined
    const [session] = await worker.query(sql`
      select token_hash is null as page from operator_sessions
      where id = ${sessionId} and credential = ${known} and ended_at is null and expires_at > now()`)
    return session
  }
  const operatorOf = (sessionId: string, { requestId, ip, userAgent }: Caller): Operator => ({
    id,
    email,
    sessionId,
    requestId,
    ip,
    userAgent,
  })
  const answer = (sessionId: string, generation: number): OperatorSignIn => ({
    user: { id, email, role: 'operator' },
    tenant: null,
    accessToken: tokens.issueOperatorAccess({ sub: id, role: 'operator', sid: sessionId }),
    refreshToken: tokens.refreshToken(sessionId, generation),
    expiresIn: accessTokenSeconds,
  })

  return {
    configured: known !== undefined,
    recognises: (credentials) => known !== undefined && timingSafeEqual(markOf(credentials), known),
    signIn: async (caller) => {
      const sessionId = newId()
      await start(caller, sessionId, hashToken(tokens.refreshToken(sessionId, 1)))
      return answer(sessionId, 1)
    },
    refresh: async (caller, token, sessionId) => {
      const device = deviceOf(caller)
      const generation = await db.workerTransaction(async (tx) => {
        if (!known) return undefined
        const [session] = await tx.query(sql`
          select generation, token_hash = ${hashToken(token)} as current, previous_hash = ${hashToken(token)} as previous,
                 rotated_from = ${device} as same_device, extract(epoch from now() - rotated_at)::float as age
          from operator_sessions
          where id = ${sessionId} and credential = ${known} and token_hash is not null and ended_at is null and expires_at > now()
          for update`)
        if (!session) return undefined
        const verdict = judge(session)
        if (verdict === 'reused') {
          await tx.query(
            sql`update operator_sessions set ended_at = now(), end_reason = 'token_reused' where id = ${sessionId}`,
          )
          log.warn({ requestId: caller.requestId, sessionId }, 'a refresh token of an operator came twice')
          return undefined
        }
        if (verdict === 'again') return Number(session.generation)
        const next = Number(session.generation) + 1
        await tx.query(sql`
          update operator_sessions set generation = ${next}, token_hash = ${hashToken(tokens.refreshToken(sessionId, next))},
            previous_hash = ${hashToken(token)}, rotated_at = now(), rotated_from = ${device},
            expires_at = now() + make_interval(hours => ${operatorSessionHours})
          where id = ${sessionId}`)
        return next
      })
      if (generation === undefined) throw unauthenticated('The session has ended')
      return answer(sessionId, generation)
    },
    identify: async (claims, caller) => {
      const session = await alive(claims.sid)
      if (!session || session.page || claims.sub !== id) throw unauthenticated('The session has ended')
      return operatorOf(claims.sid, caller)
    },
    openPage: async (caller) => {
      const sessionId = newId()
      await start(caller, sessionId, null)
      return `${sessionId}.${tokens.mark(`page ${sessionId}`).toString('base64url')}`
    },
    identifyPage: async (cookie, caller) => {
      const [sessionId = '', mark = ''] = cookie.split('.')
      if (!isId(sessionId) || !same(Buffer.from(mark, 'base64url'), tokens.mark(`page ${sessionId}`))) return undefined
      return (await alive(sessionId))?.page ? operatorOf(sessionId, caller) : undefined
    },
    signOut: async ({ sessionId, requestId }) => {
      await worker.query(sql`
        update operator_sessions set ended_at = now(), end_reason = 'signed_out' where id = ${sessionId} and ended_at is null`)
      log.info({ requestId, sessionId }, 'a platform operator signed out')
    },
  }
}

const normal = (email: string): string => email.trim().toLowerCase()

const same = (given: Buffer, right: Buffer): boolean => given.length === right.length && timingSafeEqual(given, right)

/** A UUID (version 8) of an email: there is no table of operators that could give one. */
function idOf(email: string): string {
  const hex = createHash('sha256').update(`platform operator ${email}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The cookie of a page's session for who proves to be the operator. Whoever guesses waits as at any sign-in. */
export async function openOperatorPage(
  { attempts, operators }: { readonly attempts: Attempts; readonly operators: Operators },
  caller: Caller,
  credentials: Credentials,
): Promise<{ cookie: string; seconds: number }> {
  const shown = await attempts.attempt(caller, passwordClaim(credentials.email), async () =>
    operators.recognises(credentials) ? true : undefined,
  )
  await shown.withdraw()
  return { cookie: await operators.openPage(caller), seconds: operatorSessionHours * 3600 }
}
