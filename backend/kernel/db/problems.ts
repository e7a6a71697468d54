import { conflict, duplicate, invalidMember, Problem, rule, unavailable } from '../errors.ts'

/** What an error of the database means to a caller; undefined when it is a defect of ours. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Error && saidByDriver.test(error.message)) return notNow()
  if (!isDatabaseError(error)) return undefined
  const code = error.code
  const known = table[code]
  if (known) return known(error)
  if (/^(08(?!P01)|53|57P|58)/.test(code) || connectionLost.has(code)) return notNow()
  return undefined
}

const notNow = (): Problem => unavailable('The database does not answer now; try again')

/** When a connection breaks under a query, or the pool has none to give, `pg` throws an error without a code. */
const saidByDriver =
  /^(Connection terminated|timeout exceeded when trying to connect|Client (has encountered|was closed)|Cannot use a pool)/

/** Whether a statement that is a transaction of its own may simply be sent again. */
export const mayRepeat = (error: unknown): boolean =>
  isDatabaseError(error) && (error.code === '40001' || error.code === '40P01')

/** Whether the connection itself is of no more use. */
export const isConnectionError = (error: unknown): boolean =>
  !isDatabaseError(error) || /^(08|57P)/.test(error.code) || connectionLost.has(error.code)

interface DatabaseError extends Error {
  readonly code: string
  readonly table?: string
  readonly constraint?: string
  readonly column?: string
  readonly detail?: string
}

const isDatabaseError = (error: unknown): error is DatabaseError =>
  error instanceof Error && 'code' in error && typeof error.code === 'string'

const connectionLost = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOTFOUND'])

const table: Readonly<Record<string, (error: DatabaseError) => Problem>> = {
  // unique_violation; the constraint is named `<table>_<column>`
  '23505': (error) => duplicate(memberOf(error), `${memberOf(error)} is taken by another record`),
  // foreign_key_violation
  '23503': (error) =>
    invalidMember(memberOf(error), 'must be the id of a record that you may read', 'invalid_reference'),
  // query_canceled: the statement timeout
  '57014': () => unavailable('This took too long; narrow the filter and try again'),
  // lock_not_available, deadlock_detected, serialization_failure
  '55P03': () => conflict('Another request is changing the same record; try again'),
  '40P01': () => conflict('Another request is changing the same records; try again'),
  '40001': () => conflict('Another request is changing the same records; try again'),
  // untranslatable_character, character_not_in_repertoire
  '22P05': () => invalidMember('', 'must not contain a NUL character'),
  '22021': () => invalidMember('', 'must be well-formed Unicode'),
  // statement_too_complex: a JSON value nested beyond the server's stack
  '54001': () => invalidMember('', 'must not be nested so deeply'),
  // raised by our own triggers: a member's value, and a rule of the business (its code in `column`)
  CF400: (error) => invalidMember(error.column ?? '', error.message),
  CF422: (error) => rule(error.column ?? 'RULE', error.message),
  // raised where a tenant has as much of something as it may: the numbers stand in the detail
  CF403: ({ message, detail = '{}' }) => new Problem(403, 'PLAN_LIMIT_REACHED', message, { extra: JSON.parse(detail) }),
}

/** Under row-level security Postgres keeps the key to itself; then the constraint's name tells. */
function memberOf({ detail, constraint = '', table = '' }: DatabaseError): string {
  const keys = /^Key \(([^)]*)\)/.exec(detail ?? '')?.[1]?.split(', ') ?? []
  const named = constraint
    .replace(`${table}_`, '')
    .replace(/^tenant_id_/, '')
    .replace(/_(fkey|key)$/, '')
  const column = keys.filter((key) => key !== 'tenant_id').at(-1) ?? named
  return column.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase())
}
