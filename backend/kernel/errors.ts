import type { Mask } from './sight.ts'

/** What a problem tells of records, and how it is shown to somebody. */
export interface Told {
  readonly value: unknown
  readonly mask: Mask
}

/** One member of a request that is wrong, as the contract's `errors[]` shows it. */
export interface MemberError {
  readonly path: string
  readonly message: string
  readonly code: string
}

/** An error that the caller may see: a stable code, a status, a sentence that says what to do. Rendered as RFC 9457. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly MemberError[] | undefined
  readonly headers: Readonly<Record<string, string>>
  /** More members of its own; they say nothing of records. */
  readonly extra: Readonly<Record<string, Plain>>
  /** Members that tell of records: they are shown only once they have been masked for who asked. */
  readonly told: Readonly<Record<string, Told>>

  constructor(
    status: number,
    code: string,
    detail: string,
    more: {
      errors?: readonly MemberError[]
      headers?: Record<string, string>
      extra?: Record<string, Plain>
      told?: Record<string, Told>
      cause?: unknown
    } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'Problem'
    this.status = status
    this.code = code
    this.errors = more.errors
    this.headers = more.headers ?? {}
    this.extra = more.extra ?? {}
    this.told = more.told ?? {}
  }
}

type Plain = string | number | boolean | null

/** 400: members of the body, query or path are wrong; each is named. */
export function invalid(errors: readonly MemberError[]): Problem {
  const count = errors.length === 1 ? '1 member is not valid' : `${errors.length} members are not valid`
  return new Problem(400, 'VALIDATION_FAILED', count, { errors })
}

/** 400 for one member. */
export const invalidMember = (path: string, message: string, code = 'invalid_value'): Problem =>
  invalid([{ path, message, code }])

/** 401: no valid token. The reason is only said where it helps an honest caller. */
export const unauthenticated = (detail = 'Send a valid access token as Authorization: Bearer'): Problem =>
  new Problem(401, 'UNAUTHENTICATED', detail, { headers: { 'WWW-Authenticate': 'Bearer' } })

/** 403: the caller may read this, and may not do that with it. */
export const forbidden = (detail = 'Your role does not allow this'): Problem => new Problem(403, 'FORBIDDEN', detail)

/** 404: not there, not yours or not allowed to be seen; which of them is never told. */
export const notFound = (detail = 'There is nothing here for you'): Problem => new Problem(404, 'NOT_FOUND', detail)

/** 409: another state or request stands in the way. */
export const conflict = (detail: string): Problem => new Problem(409, 'CONFLICT', detail)

/** 409: a value that must be unique is taken. */
export const duplicate = (path: string, detail: string): Problem =>
  new Problem(409, 'DUPLICATE', detail, { errors: [{ path, message: detail, code: 'duplicate' }] })

/** 412: the record has changed since the version that the caller knows. */
export const stale = (): Problem =>
  new Problem(412, 'PRECONDITION_FAILED', 'The record has changed since you read it; read it again and repeat')

/** 422: a rule of the business forbids it. */
export const rule = (code: string, detail: string): Problem => new Problem(422, code, detail)

/** 503: a part that we need is not there now; trying again later helps. */
export const unavailable = (detail: string): Problem =>
  new Problem(503, 'UNAVAILABLE', detail, { headers: { 'Retry-After': '5' } })
