import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { unauthenticated } from '../../kernel/errors.ts'

/** An account as it was when somebody proved it to be his. */
export interface SeenAccount {
  readonly id: string
  /** Grows with each change of what it is proved by; null when it was proved by something else. */
  readonly credentialsVersion: number | null
}

/** An account as a sign-in by password finds it. */
export interface FoundAccount extends SeenAccount {
  readonly passwordHash: string | null
}

/** The account of an email; undefined when there is none. */
export async function findAccount(db: Database, email: string): Promise<FoundAccount | undefined> {
  const [account] = await db.anonymous<FoundAccount>(sql`
    select id, password_hash as "passwordHash", credentials_version_of(id) as "credentialsVersion"
    from find_account(${email})`)
  return account
}

/** The account behind a member: what he signs in with, in whichever tenant. */
export interface Account {
  readonly id: string
  /** What the member is called in this tenant. */
  readonly name: string
  readonly email: string
  /** Null while he has chosen none. */
  readonly passwordHash: string | null
  readonly emailVerifiedAt: Date | null
}

/** The account of a member of the context's tenant; undefined for one who has none yet. */
export async function findAccountOf(tx: Tx, userId: string): Promise<Account | undefined> {
  const [account] = await tx.query<Account>(sql`
    select id, name, email, password_hash as "passwordHash", email_verified_at as "emailVerifiedAt"
    from account_of(${userId})`)
  return account
}

/** The account of who acts. Throws 401 when he has left meanwhile. */
export async function ownAccount(tx: Tx): Promise<Account> {
  const account = await findAccountOf(tx, tx.ctx.actor.id ?? '')
  if (!account) throw unauthenticated('The session has ended')
  return account
}
