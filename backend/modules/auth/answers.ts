import { z } from 'zod'
import { tenantSchema as settings } from '../../entities/tenants/tenant.ts'
import { user } from '../../entities/users/user.entity.ts'
import { printCookie } from '../../kernel/http/cookie.ts'
import type { Answer } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { type SignIn, sessionDays } from './auth.actions.ts'
import type { OperatorSignIn } from './operators.ts'

/** What cookies depend on. */
export interface CookieOptions {
  /** Whether browsers reach us by https: then the cookie is sent there only. */
  readonly secureCookies: boolean
}

/** The tenant of who is signed in. */
export const tenantSchema = settings
  .pick({ id: true, name: true, timezone: true, locale: true, currency: true, plan: true, createdAt: true })
  .meta({ id: 'Tenant' })
  .register(sight, apart)

/** What a sign-in answers. */
export const signInSchema = z
  .object({
    user: user.recordSchema,
    tenant: tenantSchema,
    accessToken: z.string().register(sight, apart),
    refreshToken: z.string().register(sight, apart).optional(),
    expiresIn: z.int().register(sight, apart),
  })
  .meta({ id: 'SignIn' })

/** Answers a sign-in, with the refresh token in a cookie that scripts cannot read where a browser asks for it. */
export function signedIn(
  status: number,
  signIn: SignIn | OperatorSignIn,
  cookie: boolean | undefined,
  options: CookieOptions,
): Answer {
  if (!cookie) return { status, body: signIn }
  const { refreshToken, ...body } = signIn
  return { status, body, headers: { 'Set-Cookie': cookieOf(refreshToken, sessionDays * 24 * 3600, options) } }
}

/** The cookie of a refresh token. */
export const cookieName = 'clientforge_refresh'

/** Gives a browser its refresh token, or takes it away. */
export const cookieOf = (value: string, seconds: number, { secureCookies }: CookieOptions): string =>
  printCookie(cookieName, value, { path: '/api/v1/auth', seconds, secure: secureCookies })
