import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { conflict } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import { endAccountSessions } from './session.actions.ts'

/** Makes an account, with null one that has no password yet; another request that made it meanwhile is a conflict. */
export async function createAccount(tx: Tx, email: string, passwordHash: string | null): Promise<string> {
  const id = newId()
  const [made] = await tx.query(sql`select create_account(${id}, ${email}, ${passwordHash}) as id`)
  if (!made?.id) throw conflict('A person with this email has just made an account; try again')
  return made.id
}

/**
 * Gives the account of a member to who has proved its address otherwise than by its own link: by a new password or an
 * invitation that he was mailed, or by an issuer that speaks for the address. When nobody had proved it before, whoever
 * typed the address may have made the account: its password, factors, passkeys and sessions are void, and the password
 * of the hash is its own. True when that was so; else nothing is done.
 */
export async function claimAccount(
  tx: Tx,
  userId: string,
  email: string,
  passwordHash: string | null,
): Promise<boolean> {
  const [before] = await tx.query<{ id: string; password: boolean; factors: boolean }>(sql`
    select a.id, c.password, c.factors
    from account_of(${userId}) a cross join lateral claim_account(a.id, ${email}, ${passwordHash}) c`)
  if (!before) return false
  await endAccountSessions(tx, before.id, 'password_changed')
  const lost = before.factors || (before.password && passwordHash === null)
  const names = ['user.email_verified', ...(lost ? ['user.credentials_voided'] : [])]
  await appendEvents(
    tx,
    names.map((name) => ({ name, type: 'user', recordId: userId })),
  )
  return true
}
