import type { Readable } from 'node:stream'
import type { ZodType, z } from 'zod'
import type { Ctx, Operator } from '../context.ts'
import type { Form, ReadForm, SentFile } from './form.ts'
import type { Key } from './idempotency-key.ts'

/** What a handler answers: a status, a body (JSON text is sent as it is) and headers. */
export interface Answer {
  readonly status: number
  /** A value to be serialised, {@link JsonText} that Postgres rendered, or {@link Bytes} as they come. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** JSON that is already text, so that it is not parsed and printed again. */
export class JsonText {
  readonly json: string
  constructor(json: string) {
    this.json = json
  }
}

/** A body that is sent as it comes, under the type and length that the headers say. */
export class Bytes {
  readonly stream: Readable
  constructor(stream: Readable) {
    this.stream = stream
  }
}

/** What a public route is called with, as no tenant is known yet. */
export interface Caller {
  readonly requestId: string
  readonly ip: string | null
  readonly userAgent: string | null
  /** Raw headers, lower-case names. */
  header(name: string): string | undefined
}

/** A request after its edge: parsed by the route's schemas. */
export interface Request<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  header(name: string): string | undefined
  /** The raw query of the URL, for routes that read filters (`leadScore[gte]=50`) themselves. */
  readonly search: URLSearchParams
  /** The path without its query, as the client sent it. */
  readonly path: string
  /** The bytes of the body. */
  readonly rawBody: unknown
  /** The `Idempotency-Key` of a POST with the body, or with what stands for it, by which a repetition is recognised. */
  idempotencyKey(digest?: Buffer): Key | undefined
  /** Reads the form of a route that takes one, streaming its file into `keep`; `drop` takes back what was kept of a form that is refused. */
  form<T, F extends ZodType>(
    form: Form<F>,
    keep: (file: SentFile) => Promise<T>,
    drop: (kept: T) => Promise<void>,
  ): Promise<ReadForm<z.output<F>, T>>
}

interface Described {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** Below `/api/v1` unless `outside` is set; parameters in braces: `/deals/{id}/win`. */
  readonly path: string
  readonly outside?: true
  readonly operationId: string
  readonly summary: string
  readonly tag: string
  readonly description?: string
  readonly params?: ZodType
  readonly query?: ZodType
  /** Parameters that `query` does not parse, for the document only. */
  readonly queryDocument?: Readonly<Record<string, { description: string; schema: object; deepObject?: true }>>
  readonly body?: ZodType
  /** Instead of JSON the body is a form, which the handler reads by `request.form`; a POST then keeps its key itself. */
  readonly form?: Form
  /** Instead of JSON the body is a form in the encoding of URLs, which the handler reads of its bytes (RFC 6749). */
  readonly urlencoded?: ZodType
  /** Status → schema of the answer (null: no body). Problems are added by the document. */
  readonly responses: Readonly<
    Record<
      number,
      {
        description: string
        schema: ZodType | null
        /** The media type of a body that is not JSON; it has no schema. */
        type?: string
        /** Says of such a body that it holds nothing of records that a role could hide. */
        apart?: true
        headers?: readonly string[]
      }
    >
  >
  /** What can go wrong beside 400, 401, 403, 404, 405 and 429, which the document adds where they apply. */
  readonly problems?: readonly number[]
  /**
   * How a POST honours `Idempotency-Key`. `transaction` (the default of POST): the server opens one and gives the
   * handler's statements and the key one commit. `statement`: the handler commits the key itself. `none`: not offered.
   */
  readonly idempotency?: 'transaction' | 'statement' | 'none'
}

/** A route that needs a signed-in user of a tenant (the default). Platform operators are refused. */
export interface PrivateRoute extends Described {
  readonly access?: undefined
  /** Serves also who must do something first, as turning on a second factor: what he needs for that. */
  readonly whilePending?: true
  // biome-ignore lint/suspicious/noExplicitAny: `route()` types the handler by the schemas; the list holds all of them
  handle(ctx: Ctx, request: Request<any, any, any>): Promise<Answer>
  /** Throws 403 for whom it does not serve, before his request is read. */
  permit?(ctx: Ctx): void
  /** What it does for a platform operator, where it has something for both. */
  handleOperator?(operator: Operator): Promise<Answer>
}

/** A route for platform operators. Users of tenants are refused. */
export interface OperatorRoute extends Described {
  readonly access: 'operator'
  // biome-ignore lint/suspicious/noExplicitAny: as above
  handle(operator: Operator, request: Request<any, any, any>): Promise<Answer>
}

/** A route that anybody may call. */
export interface PublicRoute extends Described {
  readonly access: 'public'
  // biome-ignore lint/suspicious/noExplicitAny: as above
  handle(caller: Caller, request: Request<any, any, any>): Promise<Answer>
}

export type Route = PrivateRoute | OperatorRoute | PublicRoute

type Parsed<S> = S extends ZodType ? z.output<S> : undefined

/** Declares a private route; the handler's request is typed by its schemas. */
export function route<P extends ZodType | undefined, Q extends ZodType | undefined, B extends ZodType | undefined>(
  definition: Omit<PrivateRoute, 'handle' | 'params' | 'query' | 'body'> & {
    params?: P
    query?: Q
    body?: B
    handle(ctx: Ctx, request: Request<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<Answer>
  },
): Route {
  return definition as Route
}

/** Declares a route for platform operators; it stands below `/admin`. */
export function operatorRoute<
  P extends ZodType | undefined,
  Q extends ZodType | undefined,
  B extends ZodType | undefined,
>(
  definition: Omit<OperatorRoute, 'handle' | 'params' | 'query' | 'body' | 'access'> & {
    params?: P
    query?: Q
    body?: B
    handle(operator: Operator, request: Request<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<Answer>
  },
): Route {
  return { ...definition, access: 'operator' } as Route
}

/** Declares a public route. */
export function publicRoute<
  P extends ZodType | undefined,
  Q extends ZodType | undefined,
  B extends ZodType | undefined,
>(
  definition: Omit<PublicRoute, 'handle' | 'params' | 'query' | 'body' | 'access'> & {
    params?: P
    query?: Q
    body?: B
    handle(caller: Caller, request: Request<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<Answer>
  },
): Route {
  return { ...definition, access: 'public' } as Route
}
