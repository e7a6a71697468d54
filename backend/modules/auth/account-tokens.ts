import { timingSafeEqual } from 'node:crypto'
import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { invalidMember, type Problem } from '../../kernel/errors.ts'
import { isId, newId } from '../../kernel/ids.ts'
import { hashToken, type Tokens } from './tokens.ts'

/** What a link in a mail can be for, and for how many seconds it is good. */
export const tokenSeconds = { verify_email: 3 * 24 * 3600, reset_password: 3600 } as const

/** What a link in a mail proves. */
export type TokenPurpose = keyof typeof tokenSeconds

/** A token that is still good. */
export interface LiveToken {
  readonly id: string
  readonly accountId: string
  /** The address to which it was sent. */
  readonly email: string
  readonly hash: Buffer
}

/** The token of an id: the same each time, so that the mail can be written later, though only its hash is stored. */
export const accountToken = (tokens: Tokens, purpose: TokenPurpose, id: string): string =>
  `${id}.${tokens.mark(`${purpose} ${id}`).toString('base64url')}`

/** Makes a token to the address of an account, and older ones void. Gives its id; undefined when none may be sent. */
export async function issueToken(
  tx: Tx,
  tokens: Tokens,
  purpose: TokenPurpose,
  accountId: string | undefined,
): Promise<string | undefined> {
  const id = newId()
  const hash = hashToken(accountToken(tokens, purpose, id))
  const [row] = await tx.query(sql`
    select issue_account_token(${id}, ${accountId ?? null}, ${purpose}, ${hash}, ${tokenSeconds[purpose]}) as issued`)
  return row?.issued ? id : undefined
}

/** The token that somebody sent, while it is good. Throws 400 that names it when it is not. */
export async function readToken(db: Database, token: string, purpose: TokenPurpose): Promise<LiveToken> {
  const [id = ''] = token.split('.')
  const [found] = isId(id)
    ? await db.anonymous(sql`select account_id, purpose, email, token_hash from find_account_token(${id})`)
    : []
  const hash = hashToken(token)
  if (found?.purpose !== purpose || !timingSafeEqual(found.token_hash, hash)) throw spent()
  return { id, accountId: found.account_id, email: found.email, hash }
}

/** Uses a token up. Throws 400 when another was faster. */
export async function useToken(tx: Tx, token: LiveToken, purpose: TokenPurpose): Promise<void> {
  const [used] = await tx.query(sql`
    select account_id from use_account_token(${token.id}, ${purpose}, ${token.hash})`)
  if (!used) throw spent()
}

const spent = (): Problem =>
  invalidMember('token', 'is not good, or no longer: it was used, has expired or a newer one was sent; ask for another')
