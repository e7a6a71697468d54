import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { conflict, forbidden, invalidMember, type Problem } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { type Account, ownAccount } from './account.queries.ts'
import { findTotp, newRecoveryCodes, newSeed, seedPurpose, stepOf } from './codes.ts'
import type { AuthDeps } from './deps.ts'
import { provedAccount } from './password.actions.ts'
import { codeClaim, ownFactor, readFactors, type ShownFactor, showCode, shownCode } from './second-factor.ts'

/** Proposes a second factor to who is signed in; it counts once a code of it was shown. */
export async function proposeTotp(
  deps: AuthDeps,
  ctx: Ctx,
  password: string,
): Promise<{ secret: string; uri: string }> {
  const account = await provedAccount(deps, ctx, 'password', password)
  await refuseWeakSession(deps.db.tenant(ctx), account.id)
  const seed = newSeed(account.email)
  const sealed = deps.secrets.seal(seed.secret, seedPurpose(account.id))
  const [row] = await deps.db.tenant(ctx).query(sql`select propose_totp(${account.id}, ${sealed}) as proposed`)
  if (!row?.proposed) throw conflict('A second factor is on already; disable it before you enable another')
  return seed
}

/** Turns it on by a code of it, and gives the recovery codes, this once. */
export async function confirmTotp(deps: AuthDeps, ctx: Ctx, code: string): Promise<string[]> {
  const account = await ownAccount(deps.db.tenant(ctx))
  const totp = await findTotp(deps.db, account.id)
  if (!totp) throw conflict('Enable a second factor first; then show a code of it')
  if (totp.confirmed) throw conflict('The second factor is on already')
  const claim = codeClaim(account.id, wrongCode)
  const { proof: step, withdraw } = await deps.attempts.attempt(ctx, claim, () =>
    stepOf(deps.secrets.open(totp.seed, seedPurpose(account.id)), code.replace(/\s/g, '')),
  )
  await withdraw()
  return deps.db.transaction(ctx, async (tx) => {
    const [row] = await tx.query(sql`select confirm_totp(${account.id}, ${totp.seed}, ${step}) as confirmed`)
    if (!row?.confirmed) throw conflict('Another request was faster; look at /auth/me')
    await noteShown(tx, shownCode)
    await tell(tx, 'user.two_factor_enabled')
    return renewCodes(tx, account.id)
  })
}

/** Turns it off: with the password and a code. */
export async function removeTotp(deps: AuthDeps, ctx: Ctx, password: string, code: string): Promise<void> {
  const account = await showBoth(deps, ctx, password, code)
  await deps.db.transaction(ctx, async (tx) => {
    await tx.query(sql`select remove_totp(${account.id})`)
    await tell(tx, 'user.two_factor_disabled')
  })
}

/** Gives new recovery codes for the old ones: with the password and a code. */
export async function renewRecoveryCodes(deps: AuthDeps, ctx: Ctx, password: string, code: string): Promise<string[]> {
  const account = await showBoth(deps, ctx, password, code)
  return deps.db.transaction(ctx, async (tx) => {
    await tell(tx, 'user.recovery_codes_renewed')
    return renewCodes(tx, account.id)
  })
}

/** Who has a second factor shows it before he adds another: else a stolen password would be enough to get one. */
export async function refuseWeakSession(tx: Tx, accountId: string): Promise<void> {
  const { totp, passkeys } = await readFactors(tx, accountId)
  const [session] = await tx.query(sql`
    select ${ownFactor} as shown from sessions s where tenant_id = ${tx.ctx.tenantId} and id = ${tx.ctx.sessionId}`)
  if ((totp || passkeys > 0) && !session?.shown)
    throw forbidden('Sign in with the second factor that you have before you add another')
}

/** Notes that a second factor was shown in this session. */
export async function noteShown(tx: Tx, { kind, passkeyId }: ShownFactor): Promise<void> {
  await tx.query(sql`
    update sessions set second_factor = ${kind}, passkey_id = ${passkeyId}
    where tenant_id = ${tx.ctx.tenantId} and id = ${tx.ctx.sessionId}`)
}

async function showBoth(deps: AuthDeps, ctx: Ctx, password: string, code: string): Promise<Account> {
  const account = await provedAccount(deps, ctx, 'password', password)
  const totp = await findTotp(deps.db, account.id)
  if (!totp?.confirmed) throw conflict('No second factor is on')
  const { withdraw } = await showCode(deps, ctx, account.id, totp, code, wrongCode)
  await withdraw()
  return account
}

async function renewCodes(tx: Tx, accountId: string): Promise<string[]> {
  const { codes, hashes } = newRecoveryCodes()
  await tx.query(sql`select set_recovery_codes(${accountId}, ${hashes}::bytea[])`)
  return codes
}

const tell = (tx: Tx, name: string): Promise<void> =>
  appendEvents(tx, [{ name, type: 'user', recordId: tx.ctx.actor.id }])

const wrongCode = (): Problem => invalidMember('code', 'is wrong, or was used before', 'wrong_code')
