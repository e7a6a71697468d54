import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { issueToken } from './account-tokens.ts'
import type { Tokens } from './tokens.ts'

/** Mails an account the link that proves its address. False when too many have been sent. */
export async function askToVerifyEmail(tx: Tx, tokens: Tokens, accountId: string, userId: string): Promise<boolean> {
  const tokenId = await issueToken(tx, tokens, 'verify_email', accountId)
  if (tokenId === undefined) return false
  await appendEvents(tx, [
    { name: 'user.email_verification_requested', type: 'user', recordId: userId, data: { tokenId } },
  ])
  return true
}

/** Notes that an account reads what is sent to its address; the first time it is an event. */
export async function noteVerified(tx: Tx, accountId: string, email: string): Promise<void> {
  const [row] = await tx.query(sql`select verify_account_email(${accountId}, ${email}) as first`)
  if (row?.first) await appendEvents(tx, [{ name: 'user.email_verified', type: 'user', recordId: tx.ctx.actor.id }])
}
