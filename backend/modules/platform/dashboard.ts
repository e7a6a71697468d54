import express, {
  type Express,
  type Request as ExpressRequest,
  type Response as ExpressResponse,
  type NextFunction,
  type RequestHandler,
} from 'express'
import { z } from 'zod'
import type { Operator } from '../../kernel/context.ts'
import { forbidden, Problem, unauthenticated } from '../../kernel/errors.ts'
import { printCookie, readCookie } from '../../kernel/http/cookie.ts'
import type { Caller } from '../../kernel/http/route.ts'
import type { Logger } from '../../kernel/log.ts'
import { pagePolicy, signInPage, signOutPage } from './pages.ts'

/** Who may open the dashboard, and how his browser is remembered. */
export interface Doorkeeper {
  readonly configured: boolean
  identifyPage(cookie: string, caller: Caller): Promise<Operator | undefined>
  signOut(operator: Operator): Promise<void>
}

export interface DashboardPages {
  readonly operators: Doorkeeper
  /** The cookie of a new session of the page, and the seconds that it is good for. Throws 401, and 429 for who guesses. */
  openPage(
    caller: Caller,
    credentials: { readonly email: string; readonly password: string },
  ): Promise<{ readonly cookie: string; readonly seconds: number }>
  readonly log: Logger
  /** Whether browsers reach us by https: then the cookie is sent there only. */
  readonly secureCookies: boolean
  /** Where browsers reach us, when it is said. */
  readonly publicUrl: string | undefined
  /** Makes the dashboard itself, when it is first opened. */
  readonly board: () => Promise<RequestHandler>
}

/** Where the dashboard is, and the sign-in and sign-out beside it. */
export const dashboardPath = '/admin/queues'
export const signInPath = '/admin/sign-in'
export const signOutPath = '/admin/sign-out'

/** Serves the dashboard of the queues to platform operators, with a sign-in page of its own. Nobody configured: nothing. */
export function mountDashboard(app: Express, options: DashboardPages): void {
  const { operators, log } = options
  if (!operators.configured) return
  const form = express.urlencoded({ extended: false, limit: '4kb', parameterLimit: 10 })
  const operatorOf = async (request: ExpressRequest): Promise<Operator | undefined> => {
    const cookie = readCookie(request.get('Cookie'), cookieName)
    return cookie === undefined ? undefined : operators.identifyPage(cookie, callerOf(request))
  }
  const cookieOf = (value: string, seconds: number): string =>
    printCookie(cookieName, value, { path: '/admin', seconds, secure: options.secureCookies })

  app.use('/admin', (request, response, next) => {
    response.set('Referrer-Policy', 'same-origin')
    // The files of the page carry their hash in the name.
    if (!request.path.startsWith('/queues/static/')) response.set('Cache-Control', 'no-store')
    // SameSite keeps the cookie from other sites; this keeps them from signing a browser in or out too.
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isOwn(request, options.publicUrl))
      throw forbidden('This was sent from another page than ours')
    next()
  })

  app.get(signInPath, async (request, response) => {
    if (await operatorOf(request)) return void response.redirect(303, dashboardPath)
    show(response, 200, signInPage(signInPath))
  })
  app.post(signInPath, form, async (request, response) => {
    const caller = callerOf(request)
    try {
      const { cookie, seconds } = await options.openPage(caller, credentialsSchema.parse(request.body))
      response.set('Set-Cookie', cookieOf(cookie, seconds))
      response.redirect(303, dashboardPath)
    } catch (error) {
      if (!(error instanceof Problem) || error.status >= 500) throw error
      log.warn({ requestId: caller.requestId, ip: caller.ip, status: error.status }, 'a sign-in to the queues failed')
      for (const [name, value] of Object.entries(error.headers)) response.set(name, value)
      show(response, error.status, signInPage(signInPath, error.message))
    }
  })
  app.get(signOutPath, (_request, response) => show(response, 200, signOutPage(signOutPath, dashboardPath)))
  app.post(signOutPath, async (request, response) => {
    const operator = await operatorOf(request)
    if (operator) await operators.signOut(operator)
    response.set('Set-Cookie', cookieOf('', 0))
    response.redirect(303, signInPath)
  })

  let board: Promise<RequestHandler> | undefined
  app.use(dashboardPath, async (request: ExpressRequest, response: ExpressResponse, next: NextFunction) => {
    const operator = await operatorOf(request)
    if (!operator) {
      // The page asks for its data and files by itself; only who opens it can be shown a form.
      if (request.method !== 'GET' || /^\/(api|static)\//.test(request.path))
        throw unauthenticated(`Sign in at ${signInPath}`)
      return void response.redirect(303, signInPath)
    }
    if (request.method !== 'GET')
      log.info(
        { requestId: request.id, operator: operator.id, method: request.method, path: request.path },
        'a platform operator changed a queue on its page',
      )
    response.set('Content-Security-Policy', boardPolicy)
    board ??= options.board().catch((error: unknown) => {
      board = undefined
      throw error
    })
    const handle = await board
    handle(request, response, next)
  })
}

const cookieName = 'clientforge_operator'

/**
 * What bull-board's page may load: its own files only, so that the font it links elsewhere is not asked for. It styles
 * elements in place, and its one script in the page is data, which no policy holds back.
 */
const boardPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

function show(response: ExpressResponse, status: number, page: string): void {
  response.status(status).set('Content-Security-Policy', pagePolicy).type('html').send(page)
}

/** Whether a page of ours sent it. Browsers say so with every request that changes something. */
function isOwn(request: ExpressRequest, publicUrl: string | undefined): boolean {
  const origin = request.get('Origin')
  if (origin === undefined || !URL.canParse(origin)) return false
  const { host } = new URL(origin)
  return host === request.host || (publicUrl !== undefined && host === new URL(publicUrl).host)
}

const credentialsSchema = z.object({ email: z.string(), password: z.string() }).catch({ email: '', password: '' })

const callerOf = (request: ExpressRequest): Caller => ({
  requestId: request.id,
  ip: request.ip ?? null,
  userAgent: request.get('User-Agent')?.slice(0, 500) ?? null,
  header: (name) => request.get(name),
})
