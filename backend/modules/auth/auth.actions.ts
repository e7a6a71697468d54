import sql, { raw } from 'sql-template-tag'
import { createPipeline, defaultPipeline } from '../../entities/pipelines/pipeline.actions.ts'
import { createAccount } from '../../entities/users/account.actions.ts'
import { endSession } from '../../entities/users/session.actions.ts'
import { addMember } from '../../entities/users/user.actions.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { forbidden, type Problem, unauthenticated } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { networkOf } from '../../kernel/http/network.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { checkPassword, hashPassword } from '../../kernel/password.ts'
import { type FoundAccount, findAccount, type SeenAccount } from './account.queries.ts'
import { passwordClaim } from './attempts.ts'
import type { AuthDeps } from './deps.ts'
import { callerCtx, memberCtx } from './members.ts'
import type { OperatorSignIn } from './operators.ts'
import { deviceOf, judge } from './rotation.ts'
import { type SecondFactor, type ShownFactor, secondFactor, shownCode, tellOfRecovery } from './second-factor.ts'
import { accessTokenSeconds, hashToken } from './tokens.ts'
import { askToVerifyEmail } from './verification.ts'

/** Days after its last use at which a session ends. */
export const sessionDays = 30

/** What a sign-in gives. */
export interface SignIn {
  readonly user: unknown
  readonly tenant: unknown
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresIn: number
}

/** Makes a tenant with its owner and its first pipeline, and signs him in. A known email must come with its password. */
export async function register(
  deps: AuthDeps,
  caller: Caller,
  values: { organization: string; name: string; email: string; password: string; totp?: string | undefined },
): Promise<SignIn> {
  const account = await findAccount(deps.db, values.email)
  const shown = account && (await proveAccount(deps, caller, account, values, taken))
  const passwordHash = account ? null : await hashPassword(values.password)
  const tenantId = newId()
  const userId = newId()
  const ctx = callerCtx(caller, tenantId, userId, values.name, 'owner')
  return deps.db.transaction(ctx, async (tx) => {
    await tx.query(sql`select create_tenant(${tenantId}, ${values.organization}, false, ${deps.defaultPlan})`)
    const accountId = account?.id ?? (await createAccount(tx, values.email, passwordHash))
    await addMember(tx, deps.users, accountId, { name: values.name, email: values.email, role: 'owner' }, userId)
    await createPipeline(tx, defaultPipeline)
    if (!account) await askToVerifyEmail(tx, deps.tokens, accountId, userId)
    await tellOfRecovery(tx, shown?.factor)
    const seen = { id: accountId, credentialsVersion: account?.credentialsVersion ?? null }
    return startSession(deps, tx, seen, userId, caller, shown?.factor ? shownCode : null)
  })
}

/** Asks who registers with a known email for all that its sign-in asks: the session leads to his other tenants too. */
async function proveAccount(
  deps: AuthDeps,
  caller: Caller,
  account: FoundAccount,
  { email, password, totp }: { email: string; password: string; totp?: string | undefined },
  refusal: () => Problem,
): Promise<{ factor: SecondFactor | undefined }> {
  const shown = await deps.attempts.attempt(caller, passwordClaim(email, refusal), async () =>
    (await checkPassword(password, account.passwordHash)) ? true : undefined,
  )
  const factor = await secondFactor(deps, caller, account.id, totp, shown)
  await shown.withdraw()
  await factor?.withdraw()
  return { factor }
}

const taken = () => unauthenticated('This email has an account already; register the tenant with its password')

/**
 * Signs in with a password, to the tenant used last. An unknown email and a wrong password look and take alike. Where a
 * platform operator has the email of an account, the password decides who signs in.
 */
export async function login(
  deps: AuthDeps,
  caller: Caller,
  values: { email: string; password: string; totp?: string | undefined },
): Promise<SignIn | OperatorSignIn> {
  const shown = await deps.attempts.attempt(caller, passwordClaim(values.email), async () => {
    if (deps.operators.recognises(values)) return 'operator'
    const account = await findAccount(deps.db, values.email)
    if (!(await checkPassword(values.password, account?.passwordHash)) || !account) return undefined
    const [home] = await deps.db.anonymous(sql`select tenant_id, user_id from find_membership(${account.id})`)
    return home && { account, tenantId: home.tenant_id, userId: home.user_id }
  })
  if (shown.proof === 'operator') {
    await shown.withdraw()
    return deps.operators.signIn(caller)
  }
  const { account, tenantId, userId } = shown.proof
  const factor = await secondFactor(deps, caller, account.id, values.totp, shown)
  const ctx = await memberCtx(deps, caller, tenantId, userId)
  return deps.db.transaction(ctx, async (tx) => {
    await shown.forget(tx)
    await factor?.forget(tx)
    await tellOfRecovery(tx, factor)
    return startSession(deps, tx, account, userId, caller, factor ? shownCode : null)
  })
}

/** Signs in a member whom somebody else has recognised: an OpenID issuer, say, which may have seen a second factor. */
export async function signInMember(
  deps: AuthDeps,
  caller: Caller,
  { tenantId, userId, factor }: { tenantId: string; userId: string; factor: boolean },
): Promise<SignIn> {
  const ctx = await memberCtx(deps, caller, tenantId, userId)
  return deps.db.transaction(ctx, async (tx) => {
    const [user] = await tx.query(sql`
      select account_id as "accountId" from users where tenant_id = ${tenantId} and id = ${userId}`)
    const account = { id: user?.accountId, credentialsVersion: null }
    return startSession(deps, tx, account, userId, caller, factor ? { kind: 'issuer', passkeyId: null } : null)
  })
}

/** What the credentials of an account prove. */
export interface Proved {
  readonly account: SeenAccount
  readonly factor: ShownFactor | null
  /** Tells, in the transaction in which it is made use of, that a recovery code was spent. */
  tell(tx: Tx): Promise<void>
}

/** Proves an account by all that its sign-in asks for, for who becomes a member of a further tenant. */
export async function proveMember(
  deps: AuthDeps,
  caller: Caller,
  values: { email: string; password: string; totp?: string | undefined },
): Promise<Proved> {
  const account = await findAccount(deps.db, values.email)
  if (!account) throw wrongPassword()
  const { factor } = await proveAccount(deps, caller, account, values, wrongPassword)
  return { account, factor: factor ? shownCode : null, tell: (tx) => tellOfRecovery(tx, factor) }
}

const wrongPassword = () => unauthenticated('Email or password is wrong')

/**
 * Gives the next refresh token of a session and ends the one sent. One that comes twice ends its whole family, except
 * within 10 seconds from the same device and address, where it gives the same successor.
 */
export async function refresh(deps: AuthDeps, caller: Caller, token: string): Promise<SignIn | OperatorSignIn> {
  const claim = deps.tokens.readRefresh(token)
  if (!claim) throw unauthenticated('The refresh token is not valid')
  const [owner] = await deps.db.anonymous(sql`select tenant_id, user_id from find_session_tenant(${claim.sessionId})`)
  if (!owner) return deps.operators.refresh(caller, token, claim.sessionId)
  const ctx = await memberCtx(deps, caller, owner.tenant_id, owner.user_id)
  const device = deviceOf(caller)
  const generation = await deps.db.transaction(ctx, async (tx) => {
    const [session] = await tx.query(sql`
      select generation, token_hash = ${hashToken(token)} as current, previous_hash = ${hashToken(token)} as previous, rotated_from = ${device} as same_device,
             extract(epoch from now() - rotated_at)::float as age
      from sessions
      where tenant_id = ${ctx.tenantId} and id = ${claim.sessionId} and ended_at is null and expires_at > now()
      for update`)
    if (!session) return null
    const verdict = judge(session)
    if (verdict === 'rotate') return rotate(deps, tx, claim.sessionId, session.generation + 1, token, device)
    if (verdict === 'again') return session.generation
    await endSession(tx, owner.user_id, claim.sessionId, 'token_reused')
    return null
  })
  if (generation === null) throw unauthenticated('The session has ended')
  const tx = deps.db.tenant(ctx)
  return answer(deps, tx, owner.user_id, claim.sessionId, generation)
}

/** Ends the session of the token. */
export async function logout(db: Database, ctx: Ctx): Promise<void> {
  await db.transaction(ctx, async (tx) => {
    const userId = ctx.actor.id ?? ''
    const ended = ctx.sessionId !== null && (await endSession(tx, userId, ctx.sessionId, 'signed_out'))
    if (ended)
      await appendEvents(tx, [
        { name: 'user.logged_out', type: 'user', recordId: userId, data: { sessionId: ctx.sessionId } },
      ])
  })
}

/** Signs a member in: a new session, its event, and its tokens. Throws 401 when what he has shown counts no more. */
export async function startSession(
  deps: AuthDeps,
  tx: Tx,
  account: SeenAccount,
  userId: string,
  caller: Caller,
  factor: ShownFactor | null = null,
): Promise<SignIn> {
  const sessionId = newId()
  const token = deps.tokens.refreshToken(sessionId, 1)
  await tx.query(sql`
    insert into sessions (tenant_id, id, user_id, token_hash, user_agent, ip, second_factor, passkey_id, expires_at)
    values (${tx.ctx.tenantId}, ${sessionId}, ${userId}, ${hashToken(token)}, ${caller.userAgent}, ${caller.ip},
            ${factor?.kind ?? null}, ${factor?.passkeyId ?? null}, now() + make_interval(days => ${sessionDays}))`)
  const [entry] = await tx.query(sql`
    select enter_tenant(${account.id}, ${tx.ctx.tenantId}, ${networkOf(caller.ip)}, ${account.credentialsVersion}) as open`)
  if (!entry?.open) throw unauthenticated('A password or second factor was changed meanwhile; sign in again')
  await appendEvents(tx, [{ name: 'user.logged_in', type: 'user', recordId: userId, data: { sessionId } }])
  return answer(deps, tx, userId, sessionId, 1)
}

async function rotate(
  deps: AuthDeps,
  tx: Tx,
  sessionId: string,
  generation: number,
  old: string,
  device: string,
): Promise<number> {
  await tx.query(sql`
    update sessions set generation = ${generation}, token_hash = ${hashToken(deps.tokens.refreshToken(sessionId, generation))},
      previous_hash = ${hashToken(old)}, rotated_at = now(), rotated_from = ${device}, last_used_at = now(),
      expires_at = now() + make_interval(days => ${sessionDays})
    where tenant_id = ${tx.ctx.tenantId} and id = ${sessionId}`)
  return generation
}

async function answer(deps: AuthDeps, tx: Tx, userId: string, sessionId: string, generation: number): Promise<SignIn> {
  const user = JSON.parse((await deps.users.get(tx, userId)).json)
  return {
    user,
    tenant: await readOwnTenant(tx),
    accessToken: deps.tokens.issueAccess({ sub: userId, tid: tx.ctx.tenantId, role: user.role, sid: sessionId }),
    refreshToken: deps.tokens.refreshToken(sessionId, generation),
    expiresIn: accessTokenSeconds,
  }
}

/** The tenant as its members see it. */
export async function readOwnTenant(tx: Tx): Promise<unknown> {
  const [row] = await tx.query(sql`
    select id, name, timezone, locale, currency, plan, ${raw(timeSql('created_at'))} as "createdAt"
    from tenants where id = ${tx.ctx.tenantId}`)
  return row
}

/** Registration as the installation allows it. */
export function refuseRegistration(mode: 'open' | 'invite' | 'off'): void {
  if (mode !== 'open') throw forbidden('Registration is not open here; ask for an invitation')
}
