import type { Ctx } from '../context.ts'
import type { Caller } from './route.ts'

/** A caller whose token was good: the context of what he does, and when the token ends. */
export interface SignedIn {
  readonly ctx: Ctx
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Checks tokens. Provided by the auth module; the server and the sockets ask it. */
export interface Authenticator {
  /** Throws `401 UNAUTHENTICATED` when the token is bad, expired or of a session that has ended. */
  authenticate(token: string, caller: Caller): Promise<SignedIn>
}
