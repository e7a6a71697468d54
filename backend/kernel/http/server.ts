import { createServer as createHttpServer, type Server } from 'node:http'
import { pipeline } from 'node:stream/promises'
import compression from 'compression'
import cors from 'cors'
import express, {
  type Express,
  type Request as ExpressRequest,
  type Response as ExpressResponse,
  type NextFunction,
  type Router,
} from 'express'
import { z } from 'zod'
import type { Database } from '../db/database.ts'
import { notFound, Problem, unauthenticated } from '../errors.ts'
import { isId, newId } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { Mark } from '../signed-token.ts'
import type { Authenticator } from './authenticator.ts'
import { parseBody, parsePart, rawBody } from './body.ts'
import { readForm } from './form.ts'
import { handlerFor } from './handler.ts'
import { readKey } from './idempotency-key.ts'
import { asProblem, defect, problemBody } from './problem.ts'
import type { Counted, RateLimits } from './rate-limit.ts'
import { type Answer, Bytes, type Caller, JsonText, type Request, type Route } from './route.ts'
import { securityHeaders } from './security-headers.ts'

export interface HttpOptions {
  readonly routes: readonly Route[]
  readonly authenticator: Authenticator
  readonly db: Database
  readonly log: Logger
  /** Marks what is kept of bodies. */
  readonly mark: Mark
  readonly corsOrigins: readonly string[]
  /** Express's `trust proxy`: hops or subnets in front of us. */
  readonly trustProxy: string | number | boolean
  /** How often who may call; absent: as often as he likes. */
  readonly limits?: RateLimits | undefined
  /** More of Express outside of `/api/v1`: static pages. */
  mount?(app: Express): void
  /** Told of each finished request, for the metrics. */
  observe?(request: { method: string; route: string; status: number; seconds: number }): void
}

/** The HTTP server with all routes; nothing listens yet. */
export function createServer(options: HttpOptions): Server {
  const { log } = options
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('trust proxy', options.trustProxy)
  app.set('query parser', false)
  app.use((request, response, next) => {
    const sent = request.get('X-Request-Id')
    const id = sent && /^[A-Za-z0-9._-]{1,128}$/.test(sent) ? sent : newId()
    request.id = id
    response.set(securityHeaders)
    response.set('X-Request-Id', id)
    next()
  })
  app.use(logging(log))
  if (options.observe) app.use(observing(options.observe))
  if (options.corsOrigins.length > 0) {
    app.use(
      cors({
        origin: [...options.corsOrigins],
        credentials: true,
        exposedHeaders: [
          'ETag',
          'Location',
          'X-Request-Id',
          'Idempotent-Replayed',
          'Retry-After',
          'RateLimit',
          'RateLimit-Policy',
        ],
      }),
    )
  }
  app.use(compression({ threshold: 2048, level: 4 }))
  options.mount?.(app)
  const api = express.Router({ caseSensitive: true, strict: true })
  register(
    api,
    options.routes.filter((route) => route.access === 'public' && !route.outside),
    options,
  )
  api.use(authenticating(options.authenticator))
  const { limits } = options
  if (limits) api.use(limiting((_request, response) => limits.ofCaller(response.locals.who)))
  register(
    api,
    options.routes.filter((route) => route.access !== 'public' && !route.outside),
    options,
  )
  register(
    app,
    options.routes.filter((route) => route.outside),
    options,
  )
  app.use('/api/v1', api)
  app.use(() => {
    throw notFound()
  })
  app.use((error: unknown, request: ExpressRequest, response: ExpressResponse, _next: NextFunction) =>
    answerProblem(error, request, response, log),
  )
  const server = createHttpServer(app)
  server.on('clientError', (_error, socket) => {
    if (!socket.writable) return socket.destroy()
    const id = newId()
    const body = problemBody(new Problem(400, 'MALFORMED_REQUEST', 'This is not HTTP as we read it'), '/', id)
    socket.end(
      `HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${id}\r\nConnection: close\r\n\r\n${body}`,
    )
  })
  return server
}

/** Registers routes by path, words before parameters, and answers 405 with `Allow` for the methods that a path lacks. */
function register(router: Router | Express, routes: readonly Route[], options: HttpOptions): void {
  const paths = [...new Set(routes.map((route) => route.path))].sort(bySpecificity)
  const { limits } = options
  for (const path of paths) {
    const here = router.route(path.replace(/\{(\w+)\}/g, ':$1'))
    const offered = routes.filter((route) => route.path === path)
    for (const route of offered) {
      // Nobody is known yet, and most of these hash a password.
      const byAddress = route.access === 'public' && !route.outside
      const counting = limits && byAddress ? [limiting((request) => limits.ofAddress(request.ip ?? null))] : []
      here[route.method](...counting, ...(route.form ? [] : [rawBody]), handling(route, options))
    }
    const allow = offered.map((route) => route.method.toUpperCase())
    if (allow.includes('GET')) allow.push('HEAD')
    here.all((request, response, next) => {
      if (request.method === 'OPTIONS') return void response.set('Allow', allow.join(', ')).status(204).end()
      next(
        new Problem(405, 'METHOD_NOT_ALLOWED', `This path offers ${allow.join(', ')}`, {
          headers: { Allow: allow.join(', ') },
        }),
      )
    })
  }
}

const bySpecificity = (a: string, b: string): number => {
  const weight = (path: string) =>
    path
      .split('/')
      .map((segment) => (segment.startsWith('{') ? '1' : '0'))
      .join('')
  return weight(a).localeCompare(weight(b)) || a.localeCompare(b)
}

function authenticating(authenticator: Authenticator) {
  return async (request: ExpressRequest, response: ExpressResponse, next: NextFunction): Promise<void> => {
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(request.get('Authorization') ?? '') ?? []
    if (!token) throw unauthenticated()
    response.locals.who = await authenticator.identify(token, callerOf(request))
    next()
  }
}

/** Counts before anything is read of the request. */
function limiting(count: (request: ExpressRequest, response: ExpressResponse) => Counted) {
  return (request: ExpressRequest, response: ExpressResponse, next: NextFunction): void => {
    const { headers, problem } = count(request, response)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    next(problem)
  }
}

function handling(route: Route, options: HttpOptions) {
  return async (request: ExpressRequest, response: ExpressResponse): Promise<void> => {
    response.locals.route = route.path
    // Who may not call it at all learns nothing of what is wrong with his request.
    const handle = handlerFor(route, response.locals.who, callerOf(request), options.db)
    await send(response, await handle(parse(route, request, options.mark)))
  }
}

function parse(route: Route, request: ExpressRequest, mark: Mark): Request<unknown, unknown, unknown> {
  const search = new URLSearchParams(request.originalUrl.split('?').slice(1).join('?'))
  const params = readParams(route, request)
  const query = route.queryDocument && !route.query ? undefined : parsePart(route.query ?? nothing, queryObject(search))
  const sent = route.form || route.urlencoded ? undefined : parseBody(request.body, request.get('Content-Type'))
  const body = route.body ? parsePart(route.body, sent) : parsePart(nothing, sent ?? {})
  return {
    params,
    query,
    body,
    search,
    path: pathOf(request),
    header: (name) => request.get(name),
    rawBody: request.body,
    idempotencyKey: (digest = request.body) =>
      readKey(mark, request.get('Idempotency-Key'), 'POST', pathOf(request), digest),
    form: (form, keep, drop) => readForm(request, form, keep, drop),
  }
}

/** Ids that are no UUIDs name nothing: 404. */
function readParams(route: Route, request: ExpressRequest): unknown {
  const params: Record<string, unknown> = { ...request.params }
  if (!route.params) {
    for (const [name, value] of Object.entries(params)) {
      if (/^(id|\w+Id)$/.test(name) && name !== 'externalId') {
        if (!isId(value)) throw notFound()
        params[name] = value.toLowerCase()
      }
    }
    return params
  }
  const result = route.params.safeParse(params)
  if (!result.success) throw notFound()
  return result.data
}

const nothing = z.strictObject({})

function queryObject(search: URLSearchParams): Record<string, unknown> {
  // Without a prototype: `?__proto__=1` and `?toString=1` are parameters like others that are not offered.
  const object: Record<string, unknown> = Object.create(null)
  for (const [name, value] of search) object[name] = name in object ? [object[name], value].flat() : value
  return object
}

const pathOf = (request: ExpressRequest): string => request.originalUrl.split('?', 1)[0] ?? '/'

function callerOf(request: ExpressRequest): Caller {
  return {
    requestId: String(request.id),
    ip: request.ip ?? null,
    userAgent: request.get('User-Agent')?.slice(0, 500) ?? null,
    header: (name) => request.get(name),
  }
}

async function send(response: ExpressResponse, answer: Answer): Promise<void> {
  response.status(answer.status)
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.set(name, value)
  if (answer.body === undefined) return void response.end()
  if (answer.body instanceof Bytes) return sendBytes(response, answer.body)
  if (!response.hasHeader('Content-Type')) response.set('Content-Type', 'application/json; charset=utf-8')
  const text =
    answer.body instanceof JsonText
      ? answer.body.json
      : typeof answer.body === 'string'
        ? answer.body
        : JSON.stringify(answer.body)
  response.send(text)
}

/** A reader who leaves is no failure; a source that fails can only end the answer before its time. */
async function sendBytes(response: ExpressResponse, { stream }: Bytes): Promise<void> {
  if (response.req.method === 'HEAD') {
    stream.destroy()
    return void response.end()
  }
  try {
    await pipeline(stream, response)
  } catch (error) {
    if (!response.destroyed || stream.errored === error) throw error
  }
}

function answerProblem(error: unknown, request: ExpressRequest, response: ExpressResponse, log: Logger): void {
  const problem = asProblem(error) ?? defect()
  if (problem.status >= 500 && problem.code !== 'UNAVAILABLE')
    log.error({ err: error, requestId: request.id }, 'a request failed for a reason of ours')
  else if (problem.status >= 500) log.warn({ err: error, requestId: request.id }, 'a request found a part unavailable')
  if (response.headersSent) return void response.destroy()
  for (const [name, value] of Object.entries(problem.headers)) response.set(name, value)
  response.status(problem.status).set('Content-Type', 'application/problem+json; charset=utf-8')
  response.send(problemBody(problem, pathOf(request), String(request.id)))
}

/** One line a request. By hand: the logger of its own that `pino-http` makes for each took a third of a read (docs/bench.md). */
function logging(log: Logger) {
  return (request: ExpressRequest, response: ExpressResponse, next: NextFunction): void => {
    const started = performance.now()
    const url = request.url.split('?', 1)[0]
    const tell = (): void => {
      const { id: requestId, method } = request
      const status = response.statusCode
      const line = { requestId, method, url, status, milliseconds: Math.round(performance.now() - started) }
      if (!response.writableFinished) log.info(line, 'request aborted')
      else if (status >= 500) log.error(line, 'request failed')
      else log.info(line, 'request completed')
    }
    if (!/^\/(health|metrics)/.test(request.url)) response.once('close', tell)
    next()
  }
}

function observing(observe: NonNullable<HttpOptions['observe']>) {
  return (request: ExpressRequest, response: ExpressResponse, next: NextFunction): void => {
    const started = process.hrtime.bigint()
    response.on('finish', () => {
      observe({
        method: request.method,
        route: response.locals.route ?? 'none',
        status: response.statusCode,
        seconds: Number(process.hrtime.bigint() - started) / 1e9,
      })
    })
    next()
  }
}
