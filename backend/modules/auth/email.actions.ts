import type { Tx } from '../../kernel/db/database.ts'
import { Problem } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { ownAccount } from './account.queries.ts'
import { readToken, useToken } from './account-tokens.ts'
import type { AuthDeps } from './deps.ts'
import { homeCtx } from './members.ts'
import type { Tokens } from './tokens.ts'
import { askToVerifyEmail, noteVerified } from './verification.ts'

/** Mails the link that proves an address again to who is signed in. What is proved already needs no mail. */
export async function resendVerification(tx: Tx, tokens: Tokens): Promise<void> {
  const account = await ownAccount(tx)
  if (account.emailVerifiedAt !== null) return
  if (!(await askToVerifyEmail(tx, tokens, account.id, tx.ctx.actor.id ?? '')))
    throw new Problem(
      429,
      'RATE_LIMITED',
      'Five mails were sent within the hour; look for them among the unwanted ones',
      {
        headers: { 'Retry-After': '3600' },
      },
    )
}

/** Takes the proof of an address. */
export async function verifyEmail(deps: AuthDeps, caller: Caller, sent: string): Promise<void> {
  const token = await readToken(deps.db, sent, 'verify_email')
  const ctx = await homeCtx(deps, caller, token.accountId)
  await deps.db.transaction(ctx, async (tx) => {
    await useToken(tx, token, 'verify_email')
    await noteVerified(tx, token.accountId, token.email)
  })
}
