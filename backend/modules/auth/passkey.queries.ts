import { createHash } from 'node:crypto'
import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { SeenAccount } from './account.queries.ts'

/** A passkey as its owner sees it. */
export interface Passkey {
  readonly id: string
  readonly credentialId: string
  readonly transports: readonly string[]
  readonly name: string
  readonly backedUp: boolean
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

/** A passkey as a sign-in is checked against it. */
export interface StoredPasskey {
  readonly id: string
  readonly account: SeenAccount
  readonly publicKey: Buffer
  readonly counter: number
}

/** What is kept of a passkey that was made. */
export interface NewPasskey extends Pick<Passkey, 'id' | 'credentialId' | 'transports' | 'name' | 'backedUp'> {
  readonly publicKey: Uint8Array
  readonly counter: number
}

/** The passkeys of an account, oldest first. */
export const listPasskeys = (db: Database, accountId: string): Promise<Passkey[]> =>
  db.anonymous<Passkey>(sql`
    select id, credential_id as "credentialId", transports, name, backed_up as "backedUp", created_at as "createdAt", last_used_at as "lastUsedAt"
    from passkeys_of(${accountId})`)

/** Keeps a new one. False when it is known already, or when there are twenty. */
export async function addPasskey(tx: Tx, accountId: string, passkey: NewPasskey): Promise<boolean> {
  const { id, credentialId, publicKey, counter, transports, backedUp, name } = passkey
  const [row] = await tx.query(sql`
    select add_passkey(${id}, ${accountId}, ${credentialId}, ${Buffer.from(publicKey)}, ${counter}, ${transports}, ${backedUp}, ${name}) as added`)
  return row?.added === true
}

/** Takes one away. False when the account has none of this id. */
export async function removePasskey(tx: Tx, accountId: string, id: string): Promise<boolean> {
  const [row] = await tx.query(sql`select remove_passkey(${accountId}, ${id}) as removed`)
  return row?.removed === true
}

/** The passkey of a credential's id. */
export async function findPasskey(db: Database, credentialId: string): Promise<StoredPasskey | undefined> {
  const [row] = await db.anonymous(sql`
    select id, account_id as "accountId", credentials_version_of(account_id) as "credentialsVersion",
      public_key as "publicKey", counter
    from find_passkey(${credentialId})`)
  if (!row) return undefined
  const { id, accountId, credentialsVersion, publicKey, counter } = row
  return { id, account: { id: accountId, credentialsVersion }, publicKey, counter: Number(counter) }
}

/** Notes a use. False when the passkey has counted further meanwhile: then there are two of it. */
export async function usePasskey(db: Database, id: string, counter: number): Promise<boolean> {
  const [row] = await db.anonymous(sql`select use_passkey(${id}, ${counter}) as used`)
  return row?.used === true
}

/** Keeps what a passkey is asked to sign, until it comes back or expires. */
export async function keepChallenge(db: Database, challenge: string, accountId: string | null): Promise<void> {
  await db.anonymous(sql`select keep_challenge(${hashOf(challenge)}, ${accountId}, ${challengeSeconds})`)
}

/** Uses a challenge up. False when it was not given to this account, was used, or has expired. */
export async function useChallenge(db: Database, challenge: string, accountId: string | null): Promise<boolean> {
  const [row] = await db.anonymous(sql`select use_challenge(${hashOf(challenge)}, ${accountId}) as used`)
  return row?.used === true
}

/** Seconds in which a passkey must answer. */
export const challengeSeconds = 300

const hashOf = (challenge: string): Buffer => createHash('sha256').update(challenge).digest()
