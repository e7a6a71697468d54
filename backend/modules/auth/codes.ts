import { createHash, randomBytes } from 'node:crypto'
import { generateSecret, generateURI, verify } from 'otplib'
import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import { Problem } from '../../kernel/errors.ts'
import type { Secrets } from '../../kernel/secrets.ts'

/** The second factor of an account as it is stored. */
export interface StoredTotp {
  readonly seed: string
  readonly confirmed: boolean
  readonly codesLeft: number
}

/** A new seed of one-time codes, as text and as what an authenticator scans. */
export function newSeed(email: string): { secret: string; uri: string } {
  const secret = generateSecret()
  return { secret, uri: generateURI({ issuer: 'ClientForge', label: email, secret }) }
}

/** For what a seed is sealed. */
export const seedPurpose = (accountId: string): string => `totp ${accountId}`

/** The step of a code (RFC 6238), of now or of the one before or after, as clocks differ; undefined when it is none. */
export async function stepOf(secret: string, code: string): Promise<number | undefined> {
  if (!isOneTime(code)) return undefined
  const result = await verify({ secret, token: code, epochTolerance: 30 })
  return result.valid && 'timeStep' in result ? result.timeStep : undefined
}

/** The second factor of an account; undefined when there is none, confirmed or not. */
export async function findTotp(db: Database, accountId: string): Promise<StoredTotp | undefined> {
  const [row] = await db.anonymous<StoredTotp>(sql`
    select seed, confirmed, codes_left as "codesLeft" from find_totp(${accountId})`)
  return row
}

/** So many wrong codes in a row are looked at (NIST SP 800-63B, rate limiting): who tries them for weeks would hit one. */
export const mostWrongCodes = 100

/** What a code was: undefined when it is wrong, or was used before. */
export interface TriedCode {
  readonly proof: 'totp' | 'recovery' | undefined
  /** How many wrong ones there have been in a row, with this one if it is wrong. */
  readonly tries: number
}

/**
 * Uses up a one-time code or a recovery code. Throws 403 for a one-time code, right or wrong, after too many wrong ones; a
 * recovery code is too long to be guessed.
 */
export async function proveCode(
  db: Database,
  secrets: Secrets,
  accountId: string,
  totp: StoredTotp,
  sent: string,
): Promise<TriedCode> {
  const code = sent.replace(/[\s-]/g, '').toLowerCase()
  const [begun] = await db.anonymous(sql`select begin_code(${accountId}) as tries`)
  const tries: number = begun?.tries ?? 0
  if (tries > mostWrongCodes && isOneTime(code)) throw codesRefused()
  const step = await stepOf(secrets.open(totp.seed, seedPurpose(accountId)), code)
  const [row] =
    step === undefined
      ? await db.anonymous(sql`select use_recovery_code(${accountId}, ${hashCode(code)}) as used`)
      : await db.anonymous(sql`select use_totp_step(${accountId}, ${step}) as used`)
  if (!row?.used) return { proof: undefined, tries }
  return { proof: step === undefined ? 'recovery' : 'totp', tries }
}

const isOneTime = (code: string): boolean => /^\d{6}$/.test(code)

const codesRefused = (): Problem =>
  new Problem(
    403,
    'TWO_FACTOR_REFUSED',
    'Too many wrong codes were sent: use a recovery code or a passkey, or choose a new password by "forgotten password"',
  )

/** Ten codes for the day on which the device is lost: 80 bits each, so that a hash of one tells nothing. */
export function newRecoveryCodes(): { codes: string[]; hashes: Buffer[] } {
  const plain = Array.from({ length: 10 }, () =>
    Array.from(randomBytes(16), (byte) => alphabet[byte % alphabet.length]).join(''),
  )
  return { codes: plain.map((code) => code.replace(/(.{4})(?=.)/g, '$1-')), hashes: plain.map(hashCode) }
}

/** Thirty-two signs, none of which looks like another. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz023456789'

const hashCode = (code: string): Buffer => createHash('sha256').update(code).digest()
