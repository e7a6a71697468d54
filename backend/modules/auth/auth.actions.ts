import sql, { raw } from 'sql-template-tag'
import { createPipeline, defaultPipeline } from '../../entities/pipelines/pipeline.actions.ts'
import { endSession } from '../../entities/users/session.actions.ts'
import { addMember, createAccount } from '../../entities/users/user.actions.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { forbidden, unauthenticated } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { checkPassword, hashPassword } from '../../kernel/password.ts'
import type { Attempts, Claim } from './attempts.ts'
import { networkOf } from './network.ts'
import type { OperatorSignIn, Operators } from './operators.ts'
import { compileRights } from './rights.ts'
import { deviceOf, judge } from './rotation.ts'
import { accessTokenSeconds, hashToken, type Tokens } from './tokens.ts'
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

/** What signing in and accounts are done with. */
export interface AuthDeps {
  readonly db: Database
  readonly tokens: Tokens
  readonly users: Repository
  readonly operators: Operators
  readonly attempts: Attempts
}

/** Makes a tenant with its owner and its first pipeline, and signs him in. A known email must come with its password. */
export async function register(
  deps: AuthDeps,
  caller: Caller,
  values: { organization: string; name: string; email: string; password: string },
): Promise<SignIn> {
  const [account] = await deps.db.anonymous(sql`select id, password_hash from find_account(${values.email})`)
  if (account) {
    const { withdraw } = await deps.attempts.attempt(caller, claimOf(values.email, taken), async () =>
      (await checkPassword(values.password, account.password_hash)) ? account : undefined,
    )
    await withdraw()
  }
  const passwordHash = account ? null : await hashPassword(values.password)
  const tenantId = newId()
  const userId = newId()
  const ctx = callerCtx(caller, tenantId, userId, values.name, 'owner')
  return deps.db.transaction(ctx, async (tx) => {
    await tx.query(sql`select create_tenant(${tenantId}, ${values.organization}, false)`)
    const accountId = account?.id ?? (await createAccount(tx, values.email, passwordHash ?? ''))
    await addMember(tx, deps.users, accountId, { name: values.name, email: values.email, role: 'owner' }, userId)
    await createPipeline(tx, defaultPipeline)
    if (!account) await askToVerifyEmail(tx, deps.tokens, accountId, userId)
    return startSession(deps, tx, accountId, userId, caller)
  })
}

const taken = () => unauthenticated('This email has an account already; register the tenant with its password')

/**
 * Signs in with a password, to the tenant used last. An unknown email and a wrong password look and take alike. Where a
 * platform operator has the email of an account, the password decides who signs in.
 */
export async function login(
  deps: AuthDeps,
  caller: Caller,
  values: { email: string; password: string },
): Promise<SignIn | OperatorSignIn> {
  const { proof, withdraw, forget } = await deps.attempts.attempt(caller, claimOf(values.email), async () => {
    if (deps.operators.recognises(values)) return 'operator'
    const [account] = await deps.db.anonymous(sql`select id, password_hash from find_account(${values.email})`)
    if (!(await checkPassword(values.password, account?.password_hash))) return undefined
    const [home] = await deps.db.anonymous(sql`select tenant_id, user_id from find_membership(${account?.id})`)
    return home && { accountId: account?.id, tenantId: home.tenant_id, userId: home.user_id }
  })
  if (proof === 'operator') {
    await withdraw()
    return deps.operators.signIn(caller)
  }
  const { accountId, tenantId, userId } = proof
  const ctx = await memberCtx(deps, caller, tenantId, userId)
  return deps.db.transaction(ctx, async (tx) => {
    await forget(tx)
    return startSession(deps, tx, accountId, userId, caller)
  })
}

/** What a sign-in by password claims; tries to change a password claim the same. */
export const claimOf = (email: string, wrong = () => unauthenticated('Email or password is wrong')): Claim => ({
  subject: `password ${email.trim().toLowerCase()}`,
  familiarTo: email,
  wrong,
})

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

async function startSession(
  deps: AuthDeps,
  tx: Tx,
  accountId: string,
  userId: string,
  caller: Caller,
): Promise<SignIn> {
  const sessionId = newId()
  const token = deps.tokens.refreshToken(sessionId, 1)
  await tx.query(sql`
    insert into sessions (tenant_id, id, user_id, token_hash, user_agent, ip, expires_at)
    values (${tx.ctx.tenantId}, ${sessionId}, ${userId}, ${hashToken(token)}, ${caller.userAgent}, ${caller.ip},
            now() + make_interval(days => ${sessionDays}))`)
  await tx.query(sql`select note_tenant(${accountId}, ${tx.ctx.tenantId})`)
  await tx.query(sql`select note_address(${accountId}, ${networkOf(caller.ip)})`)
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
    tenant: await readTenant(tx),
    accessToken: deps.tokens.issueAccess({ sub: userId, tid: tx.ctx.tenantId, role: user.role, sid: sessionId }),
    refreshToken: deps.tokens.refreshToken(sessionId, generation),
    expiresIn: accessTokenSeconds,
  }
}

/** The tenant as its members see it. */
export async function readTenant(tx: Tx): Promise<unknown> {
  const [row] = await tx.query(sql`
    select id, name, timezone, locale, currency, plan, ${raw(timeSql('created_at'))} as "createdAt"
    from tenants where id = ${tx.ctx.tenantId}`)
  return row
}

/** The context of an account's owner in the tenant used last, proved by what he was mailed. */
export async function homeCtx(deps: AuthDeps, caller: Caller, accountId: string): Promise<Ctx> {
  const [home] = await deps.db.anonymous(sql`select tenant_id, user_id from find_membership(${accountId})`)
  if (!home) throw unauthenticated('The account belongs to no tenant any more')
  return memberCtx(deps, caller, home.tenant_id, home.user_id)
}

/** The context of somebody who is signing in: he acts himself, though no token says so yet. */
async function memberCtx(deps: AuthDeps, caller: Caller, tenantId: string, userId: string): Promise<Ctx> {
  const [user] = await deps.db.tenant(systemCtx(tenantId)).query(sql`
    select name, role from users where tenant_id = ${tenantId} and id = ${userId} and active and deleted_at is null`)
  if (!user) throw unauthenticated('The session has ended')
  return callerCtx(caller, tenantId, userId, user.name, user.role)
}

const callerCtx = (caller: Caller, tenantId: string, userId: string, name: string, role: string): Ctx => ({
  tenantId,
  actor: { id: userId, type: 'user', name },
  rights: compileRights(userId, role, []),
  sessionId: null,
  requestId: caller.requestId,
  operationId: newId(),
  ip: caller.ip,
  userAgent: caller.userAgent,
  lane: 'live',
})

/** Registration as the installation allows it. */
export function refuseRegistration(mode: 'open' | 'invite' | 'off'): void {
  if (mode !== 'open') throw forbidden('Registration is not open here; ask for an invitation')
}
