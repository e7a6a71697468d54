import { unauthenticated } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'
import type { Issuer } from '../../kernel/issuers.ts'

/** What an issuer says of somebody. All of it was signed; none of it has been looked at. */
export type RawClaims = Readonly<Record<string, unknown>>

/** Somebody of an issuer, as we take him. */
export interface Person {
  readonly issuer: string
  readonly subject: string
  /** Null when he has none, or the issuer has not verified it. */
  readonly email: string | null
  readonly name: string
  readonly tenantId: string | null
  /** The role that his claims lead to; null: none, so he may not in. Undefined: nothing was said of roles. */
  readonly role: Role | null | undefined
  /** When the issuer said so, in seconds since 1970; 0: it does not say when. */
  readonly toldAt: number
}

/** A role that an issuer gives: ownership is for owners to give. */
export type Role = Issuer['roles'][string]

const mighty: readonly Role[] = ['admin', 'manager', 'member', 'viewer']

/**
 * Where claims came from. Who signs in and has lost all his roles may come without the claim, so silence means none; an
 * access token tells of roles only where its issuer was asked to, so there it means nothing.
 */
export type Occasion = 'sign-in' | 'bearer'

/** Reads claims under the configuration of their issuer. */
export function personOf(issuer: Issuer, claims: RawClaims, occasion: Occasion): Person {
  const tenant = issuer.tenant ?? claims[issuer.tenantClaim ?? '']
  const email = claims.email_verified === true && typeof claims.email === 'string' ? claims.email.trim() : null
  return {
    issuer: issuer.issuer,
    subject: subjectOf(claims),
    email,
    name: nameOf(claims, email),
    tenantId: isId(tenant) ? tenant.toLowerCase() : null,
    role: roleOf(issuer, claims, occasion),
    // A clock of the issuer that is ahead must not make all that it says later older.
    toldAt: typeof claims.iat === 'number' ? Math.min(claims.iat, Date.now() / 1000) : 0,
  }
}

/** What each method of RFC 8176 proves: something that one knows, has or is. */
const provedBy: ReadonlyMap<unknown, 'known' | 'had' | 'been'> = new Map(
  Object.entries({
    ...{ pwd: 'known', pin: 'known', kba: 'known' },
    ...{ otp: 'had', hwk: 'had', swk: 'had', pop: 'had', sc: 'had', sms: 'had', tel: 'had' },
    ...{ face: 'been', fpt: 'been', iris: 'been', retina: 'been', vbm: 'been' },
  }),
)

/** Whether somebody has shown his issuer a second factor: it says so (`mfa`), names methods of two kinds, or sees to it always. */
export function showsFactor({ secondFactor }: Issuer, { amr }: RawClaims): boolean {
  if (secondFactor) return true
  if (!Array.isArray(amr)) return false
  const kinds = new Set(amr.map((method) => provedBy.get(method)).filter((kind) => kind !== undefined))
  return amr.includes('mfa') || kinds.size > 1
}

/** Whether an issuer's claims say who may in: else whoever it knows may. */
export const givesRoles = ({ roles }: Issuer): boolean => Object.keys(roles).length > 0

/** An issuer's name for somebody: a text (OpenID Connect Core 1.0, section 2). */
function subjectOf({ sub }: RawClaims): string {
  if (typeof sub !== 'string' || sub === '') throw unauthenticated()
  return sub
}

const nameOf = ({ name, preferred_username }: RawClaims, email: string | null): string =>
  [name, preferred_username, email?.split('@')[0], 'Newcomer']
    .filter((each) => typeof each === 'string')
    .map((each) => each.trim().slice(0, 100))
    .find((each) => each !== '') ?? 'Newcomer'

/** A claim of roles is a list, one text with blanks, or a place deeper down as `realm_access.roles`. */
function roleOf(issuer: Issuer, claims: RawClaims, occasion: Occasion): Role | null | undefined {
  if (!givesRoles(issuer)) return undefined
  const claim = valueAt(claims, issuer.rolesClaim)
  if (claim === undefined && occasion === 'bearer') return undefined
  const values = Array.isArray(claim) ? claim : typeof claim === 'string' ? claim.split(' ') : []
  const given = values.flatMap((value) =>
    typeof value === 'string' && Object.hasOwn(issuer.roles, value) ? [issuer.roles[value]] : [],
  )
  return mighty.find((role) => given.includes(role)) ?? issuer.defaultRole ?? null
}

/** The whole name first: issuers name claims by URLs, which hold dots. */
function valueAt(claims: RawClaims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  return name
    .split('.')
    .reduce<unknown>((value, part) => (isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined), claims)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Whether the issuer speaks for an email: only then does it lead to somebody who was here before. */
export const speaksFor = ({ domains }: Issuer, email: string): boolean =>
  domains.includes(email.slice(email.lastIndexOf('@') + 1).toLowerCase())
