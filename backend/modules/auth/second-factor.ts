import sql, { type Sql } from 'sql-template-tag'
import { systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { Problem, unauthenticated } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Caller } from '../../kernel/http/route.ts'
import type { Claim, Proved } from './attempts.ts'
import { findTotp, mostWrongCodes, proveCode, type StoredTotp } from './codes.ts'
import type { AuthDeps } from './deps.ts'

/**
 * Asks who has shown the right password for his second factor, where he has one. A wrong code leaves the try for the
 * password counted as well, and codes are counted over all addresses: who has the password gets no further by moving.
 */
export async function secondFactor(
  deps: AuthDeps,
  caller: Cause,
  accountId: string,
  code: string | undefined,
  password: Pick<Proved<unknown>, 'withdraw'>,
): Promise<SecondFactor | undefined> {
  const totp = await findTotp(deps.db, accountId)
  if (!totp?.confirmed) return undefined
  if (code === undefined) {
    await password.withdraw()
    throw twoFactorRequired()
  }
  return showCode(deps, caller, accountId, totp, code, () => unauthenticated('The code is wrong, or was used before'))
}

/** How the second factor of a session was shown: to us, or to the issuer that signed its owner in; of a passkey, which it was. */
export interface ShownFactor {
  readonly kind: 'totp' | 'passkey' | 'issuer'
  readonly passkeyId: string | null
}

/** A code of an authenticator, or one that stands in for it. */
export const shownCode: ShownFactor = { kind: 'totp', passkeyId: null }

/**
 * The factor of a session `s` that is the account's own: what an issuer has seen counts in the tenant that takes its word,
 * and neither in another nor for the account.
 */
export const ownFactor: Sql = sql`
  case when s.second_factor <> 'issuer' then jsonb_build_object('kind', s.second_factor, 'passkeyId', s.passkey_id) end`

/** Which second factors an account has, as its owner sees them. */
export async function readFactors(
  tx: Tx,
  accountId: string,
): Promise<{ totp: boolean; recoveryCodesLeft: number; passkeys: number }> {
  const [row] = await tx.query(sql`
    select totp, codes_left as "recoveryCodesLeft", passkeys from factors_of(${accountId})`)
  return { totp: row?.totp, recoveryCodesLeft: row?.recoveryCodesLeft, passkeys: row?.passkeys }
}

/** Which code was shown, and how its tries are forgotten. */
export type SecondFactor = Proved<'totp' | 'recovery'>

/** A recovery code that was used is told: it may be the last, and its owner may not have used it. */
export async function tellOfRecovery(tx: Tx, factor: SecondFactor | undefined): Promise<void> {
  if (factor?.proof === 'recovery')
    await appendEvents(tx, [{ name: 'user.recovery_code_used', type: 'user', recordId: tx.ctx.actor.id }])
}

/** Tries a code of an account: a one-time code or a recovery code. */
export const showCode = (
  { attempts, db, secrets }: AuthDeps,
  caller: Cause,
  accountId: string,
  totp: StoredTotp,
  code: string,
  wrong: () => Problem,
): Promise<SecondFactor> =>
  attempts.attempt(caller, codeClaim(accountId, wrong), async () => {
    const { proof, tries } = await proveCode(db, secrets, accountId, totp, code)
    if (proof === undefined && tries === mostWrongCodes) await tellOfGuessing(db, caller, accountId)
    return proof
  })

/** Where a try comes from. */
type Cause = Pick<Caller, 'requestId' | 'ip' | 'userAgent'>

/** Whoever has tried so many codes has the password: its owner must know. */
async function tellOfGuessing(db: Database, { requestId, ip, userAgent }: Cause, accountId: string): Promise<void> {
  const [home] = await db.anonymous(sql`select tenant_id, user_id from find_membership(${accountId})`)
  if (!home) return
  await db.transaction(systemCtx(home.tenant_id, { requestId, ip, userAgent }), (tx) =>
    appendEvents(tx, [{ name: 'user.codes_guessed', type: 'user', recordId: home.user_id }]),
  )
}

/** What a code claims. */
export const codeClaim = (accountId: string, wrong: () => Problem): Claim => ({
  subject: `code ${accountId}`,
  anywhere: true,
  wrong,
})

const twoFactorRequired = (): Problem =>
  new Problem(401, 'TWO_FACTOR_REQUIRED', 'Send a code of your authenticator, or a recovery code, as totp', {
    headers: { 'WWW-Authenticate': 'Bearer' },
  })
