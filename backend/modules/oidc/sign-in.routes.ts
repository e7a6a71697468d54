import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { notFound } from '../../kernel/errors.ts'
import { printCookie, readCookie } from '../../kernel/http/cookie.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import { type Answer, type Caller, publicRoute, type Route } from '../../kernel/http/route.ts'
import type { Provider } from './providers.ts'
import { attemptSeconds, begin, finish, redeem, type SignedInThere, type SignInDeps, take } from './sign-in.actions.ts'

/** The routes of signing in with an issuer. */
export interface SignInRoutes extends SignInDeps {
  readonly providers: readonly Provider[]
  readonly secureCookies: boolean
  /** What a sign-in answers, here and with a password. */
  readonly signInSchema: z.ZodType
  /** Starts a session of ours and answers as a sign-in does. */
  signIn(caller: Caller, known: SignedInThere, cookie: boolean | undefined): Promise<Answer>
}

const tag = 'auth'
const params = z.object({ provider: z.string().max(50) })

/** Sign-in by the code flow with PKCE. No token ever stands in a URL: the page gets a code, and changes it. */
export function signInRoutes(deps: SignInRoutes): Route[] {
  const { db, providers } = deps
  const providerOf = (id: string): Provider => {
    const found = providers.find(({ issuer }) => issuer.id === id)
    if (!found) throw notFound()
    return found
  }
  const pageOf = ({ issuer }: Provider): string => issuer.page ?? `${deps.base()}/`
  const list = publicRoute({
    method: 'get',
    path: '/auth/oidc',
    operationId: 'listOpenIdProviders',
    summary: 'Who else lets people sign in here',
    tag,
    responses: {
      200: {
        description: 'The providers',
        schema: z.object({ data: z.array(z.object({ id: z.string(), name: z.string() })) }),
      },
    },
    handle: async () => ({
      status: 200,
      body: { data: providers.map(({ issuer: { id, name = id } }) => ({ id, name })) },
    }),
  })
  // What nobody can call is not in the document.
  if (providers.length === 0) return [list]
  return [
    list,
    publicRoute({
      method: 'get',
      path: '/auth/oidc/{provider}/start',
      operationId: 'startOpenIdSignIn',
      summary: 'Send the browser to sign in with a provider',
      description:
        'With `challenge`, the SHA-256 of a secret of the page in base64url, the code is good for that page only',
      tag,
      params,
      query: z.strictObject({
        challenge: z
          .string()
          .regex(/^[\w-]{43}$/, 'must be a SHA-256 in base64url')
          .optional(),
      }),
      responses: { 302: { description: 'To the provider', schema: null, headers: ['Location', 'Set-Cookie'] } },
      handle: async (caller, { params, query }) => {
        const provider = providerOf(params.provider)
        // The same for every tab of a browser: each begins an attempt of its own.
        const browser = cookieIn(caller) ?? randomBytes(32).toString('base64url')
        const url = await begin(deps, provider, browser, query.challenge ?? null)
        const headers = { Location: url.href, 'Set-Cookie': cookieOf(browser, deps), 'Cache-Control': 'no-store' }
        return { status: 302, headers }
      },
    }),
    publicRoute({
      method: 'get',
      path: '/auth/oidc/{provider}/callback',
      operationId: 'finishOpenIdSignIn',
      summary: 'Where the provider sends the browser back',
      tag,
      params,
      query: z.looseObject({ state: z.string().max(500) }),
      responses: {
        302: { description: 'To the page, with `code` or `error`', schema: null, headers: ['Location'] },
      },
      handle: async (caller, { params, query: { state }, search }) => {
        const provider = providerOf(params.provider)
        const attempt = await take(db, provider, state, cookieIn(caller))
        const page = new URL(pageOf(provider))
        try {
          page.searchParams.set('code', await finish(deps, provider, attempt, search.toString(), state, caller))
        } catch (error) {
          const problem = asProblem(error)
          if (!problem) throw error
          page.searchParams.set('error', problem.code)
          page.searchParams.set('error_description', problem.message)
        }
        return {
          status: 302,
          headers: { Location: page.href, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' },
        }
      },
    }),
    publicRoute({
      method: 'post',
      path: '/auth/oidc/exchange',
      operationId: 'exchangeOpenIdCode',
      summary: 'Change the code of a sign-in for its tokens',
      tag,
      body: z.strictObject({
        code: z.string().max(200),
        verifier: z.string().max(200).optional(),
        cookie: z.boolean().optional(),
      }),
      responses: { 200: { description: 'Signed in', schema: deps.signInSchema } },
      problems: [401],
      handle: async (caller, { body: { code, verifier, cookie } }) =>
        deps.signIn(caller, await redeem(db, code, verifier), cookie),
    }),
  ]
}

const cookieName = 'clientforge_oidc'

/** Lax: the provider's page sends the browser back by a link. */
const cookieOf = (value: string, { secureCookies: secure }: SignInRoutes): string =>
  printCookie(cookieName, value, { path: '/api/v1/auth/oidc', seconds: attemptSeconds, secure, lax: true })

const cookieIn = (caller: Caller): string | undefined => {
  const value = readCookie(caller.header('Cookie'), cookieName)
  return value !== undefined && /^[\w-]{43}$/.test(value) ? value : undefined
}
