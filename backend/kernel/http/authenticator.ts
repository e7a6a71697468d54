import type { Ctx, Operator } from '../context.ts'
import type { Problem } from '../errors.ts'
import type { Caller } from './route.ts'

/** A user of a tenant whose token was good: the context of what he does, and when the token ends. */
export interface SignedIn {
  readonly ctx: Ctx
  readonly operator?: undefined
  /** What he must do first; until then only routes that say `whilePending` serve him, all others throw it. */
  readonly pending?: Problem | undefined
  /** Whether he is somebody who has shown no second factor, which his tenant may ask for. */
  readonly lacksFactor?: boolean
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** Calls that the tenant's plan gives all its users and keys within a minute; null or absent: as many as they like. */
  readonly callsPerMinute?: number | null
}

/** A platform operator whose token was good. */
export interface SignedInOperator {
  readonly ctx?: undefined
  readonly pending?: undefined
  readonly operator: Operator
}

/** Checks tokens. Provided by the auth module; the server and the sockets ask it. */
export interface Authenticator {
  /** Throws `401 UNAUTHENTICATED` when the token is bad, expired or of a session that has ended. */
  identify(token: string, caller: Caller): Promise<SignedIn | SignedInOperator>
  /** For who serves tenants only: a platform operator is `403 FORBIDDEN`, and who must do something first too. */
  authenticate(token: string, caller: Caller): Promise<SignedIn>
}

/** Another kind of token than those of sessions: a key, or what another issuer signed. */
export interface Bearer {
  /** Whether a token has the form of this kind, so that nobody else is asked. */
  takes(token: string): boolean
  /** Throws `401 UNAUTHENTICATED` when it is not good. */
  signedIn(token: string, caller: Caller): Promise<SignedIn>
}

/** An authenticator that takes these kinds of tokens too. */
export function withBearers(own: Authenticator, bearers: readonly Bearer[]): Authenticator {
  const bearerOf = (token: string): Bearer | undefined => bearers.find((bearer) => bearer.takes(token))
  return {
    identify: (token, caller) => bearerOf(token)?.signedIn(token, caller) ?? own.identify(token, caller),
    authenticate: (token, caller) => bearerOf(token)?.signedIn(token, caller) ?? own.authenticate(token, caller),
  }
}
