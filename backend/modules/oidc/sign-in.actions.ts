import { createHash, randomBytes } from 'node:crypto'
import * as openid from 'openid-client'
import sql from 'sql-template-tag'
import { systemCtx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { invalidMember, Problem, unauthenticated } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { isId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { showsFactor } from './claims.ts'
import { admit, type Known } from './people.ts'
import type { Provider } from './providers.ts'

/** What the code flow is made of. */
export interface SignInDeps {
  readonly db: Database
  readonly log: Logger
  readonly users: Repository
  /** How browsers reach us, for the address to which the issuer sends them back. */
  base(): string
}

/** How long somebody may take at his issuer, in seconds; also the life of the browser's cookie. */
export const attemptSeconds = 600

const codeSeconds = 60

/** Begins a sign-in: where the browser is to go. `browser` is what its cookie holds. */
export async function begin(
  { db, base }: SignInDeps,
  provider: Provider,
  browser: string,
  challenge: string | null,
): Promise<URL> {
  const configuration = await provider.configuration()
  const { id, scopes } = provider.issuer
  const [state, nonce, verifier] = [openid.randomState(), openid.randomNonce(), openid.randomPKCECodeVerifier()]
  await db.worker.query(sql`
    insert into openid_attempts (state_hash, provider, nonce, verifier, browser_hash, challenge, expires_at)
    values (${hash(state)}, ${id}, ${nonce}, ${verifier}, ${hash(browser)}, ${challenge}, now() + make_interval(secs => ${attemptSeconds}))`)
  return openid.buildAuthorizationUrl(configuration, {
    redirect_uri: callbackOf(base(), id),
    scope: scopes,
    state,
    nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
}

/** What is kept of a sign-in that came back, which is the only time. */
export interface Attempt {
  readonly nonce: string
  readonly verifier: string
  readonly challenge: string | null
}

/** Takes the attempt of a state out of the store. 400 when it was used, is too old, or another browser's. */
export async function take(
  db: Database,
  provider: Provider,
  state: string,
  browser: string | undefined,
): Promise<Attempt> {
  const [attempt] = await db.worker.query<Attempt & { same: boolean; fresh: boolean }>(sql`
    delete from openid_attempts where state_hash = ${hash(state)} and provider = ${provider.issuer.id}
    returning nonce, verifier, challenge, browser_hash = ${hash(browser ?? '')} as same, expires_at > now() as fresh`)
  if (!attempt?.same || !attempt.fresh)
    throw invalidMember('state', 'is not of a sign-in that this browser has begun and not finished; begin again')
  return attempt
}

/** Ends a sign-in at its issuer: a code for the page, which becomes a session once. */
export async function finish(
  deps: SignInDeps,
  provider: Provider,
  { nonce, verifier, challenge }: Attempt,
  search: string,
  state: string,
  caller: Caller,
): Promise<string> {
  const url = new URL(`${callbackOf(deps.base(), provider.issuer.id)}?${search}`)
  const claims = await claimsOf(deps, provider, url, { state, nonce, verifier })
  const { requestId, ip, userAgent } = caller
  const { tenantId, userId } = await admit(deps, provider.issuer, claims, 'sign-in', { requestId, ip, userAgent })
  const code = `${tenantId}.${randomBytes(32).toString('base64url')}`
  await deps.db.tenant(systemCtx(tenantId)).query(sql`
    insert into openid_codes (tenant_id, code_hash, user_id, factor, challenge, expires_at)
    values (${tenantId}, ${hash(code)}, ${userId}, ${showsFactor(provider.issuer, claims)}, ${challenge}, now() + make_interval(secs => ${codeSeconds}))`)
  return code
}

async function claimsOf(
  { log }: SignInDeps,
  provider: Provider,
  url: URL,
  { state, nonce, verifier }: { state: string; nonce: string; verifier: string },
): Promise<openid.IDToken> {
  const configuration = await provider.configuration()
  try {
    const tokens = await openid.authorizationCodeGrant(configuration, url, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    if (!claims) throw new Error('the issuer gave no id token')
    // Some issuers tell who somebody is at the userinfo endpoint only.
    const more = claims.email === undefined && configuration.serverMetadata().userinfo_endpoint !== undefined
    return more
      ? { ...(await openid.fetchUserInfo(configuration, tokens.access_token, claims.sub)), ...claims }
      : claims
  } catch (error) {
    log.warn({ err: error, provider: provider.issuer.id }, 'an OpenID sign-in failed')
    if (error instanceof openid.AuthorizationResponseError)
      throw new Problem(403, 'FORBIDDEN', 'The provider did not let you in')
    throw unauthenticated('The provider’s answer is not good; begin again')
  }
}

/** A user who has signed in at his issuer. */
export interface SignedInThere extends Known {
  /** Whether he has shown a second factor there. */
  readonly factor: boolean
}

/** Changes a code for who signed in. 401 when it was used, is too old, or asked for by another than who began. */
export async function redeem(db: Database, code: string, verifier: string | undefined): Promise<SignedInThere> {
  const [tenantId = ''] = code.split('.', 1)
  const [found] = isId(tenantId)
    ? await db.tenant(systemCtx(tenantId)).query<Redeemed>(sql`
        delete from openid_codes where tenant_id = ${tenantId} and code_hash = ${hash(code)}
        returning user_id as "userId", factor, challenge, expires_at > now() as fresh`)
    : []
  const bound = found?.challenge == null || found.challenge === hash(verifier ?? '').toString('base64url')
  if (!found?.fresh || !bound) throw unauthenticated('The code is not good any more; begin the sign-in again')
  return { tenantId: tenantId.toLowerCase(), userId: found.userId, factor: found.factor }
}

interface Redeemed extends Omit<SignedInThere, 'tenantId'> {
  readonly challenge: string | null
  readonly fresh: boolean
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

const callbackOf = (base: string, id: string): string => `${base}/api/v1/auth/oidc/${id}/callback`
