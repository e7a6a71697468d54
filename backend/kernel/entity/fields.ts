import { z } from 'zod'
import { timeSql } from '../db/print-time.ts'

export type Operator = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'nin' | 'contains' | 'startsWith' | 'isNull'

/** What a kind of field knows: its schema, its column, how it prints, which filters it takes. */
export interface Field<T = unknown> {
  readonly kind: string
  /** The schema of a value in a request; `null` clears unless `required`. */
  readonly schema: z.ZodType<T>
  /** The PostgreSQL type that a parameter is cast to. */
  readonly type: string
  /** The column; snake case of the member's name when absent. */
  readonly column?: string
  /** SQL that prints the column's value as a JSON value; the column itself when absent. */
  readonly print?: (column: string) => string
  /** A parameter's value as the driver sends it. */
  bind?(value: T): unknown
  readonly required?: boolean
  /** Never null in the database: absent on create takes this, `null` in a request is 400. */
  readonly default?: T
  /** Worked out by us; may be sent back unchanged. */
  readonly readOnly?: boolean
  /** Never null in the database, though absent on create: a trigger or the column's default says what it is. */
  readonly neverNull?: boolean
  /** SQL over the row before, `o`: while it holds we work the member out, and it is read-only. An import leaves it as it is. */
  readonly derivedWhile?: string
  /** What a create that leaves it out takes: the caller's id, or the tenant's currency. */
  readonly absent?: 'actor' | 'currency'
  /** An object whose members a PATCH merges; `null` clears a member. */
  readonly merge?: z.ZodType<T>
  /** Writable on create only; afterwards it may be sent back unchanged. */
  readonly fixed?: boolean
  readonly describe?: string
  readonly filter?: readonly Operator[]
  /** Offered as a sort; an index `(tenant_id, column, id)` on live records serves it. */
  readonly sort?: boolean
  /** The column that filters and sorts use, where it is not the field's own (money: its units). */
  readonly sortColumn?: string
  readonly sortType?: string
  /** A value of a filter, as the driver sends it. */
  readonly parseFilter?: (text: string) => unknown
  /** The noun it refers to; one id, or several with `many`. */
  readonly ref?: string
  readonly many?: boolean
  /** The nouns that a `related` may point at. */
  readonly refs?: readonly string[]
  /** The name of the included record (`companyId` → `company`). */
  readonly include?: string
  /** The pick list that suggests its values, and is all of them where the tenant restricts it. */
  readonly pickList?: string
  /** `tags`, `links` and `custom`: also kept in a narrow side table, which filters use. */
  readonly side?: 'tags' | 'links' | 'custom'
  /** By which values that people write differently are one. */
  readonly normal?: Normal
  /** The words of a choice, for tables that write them in other cases. */
  readonly choices?: readonly string[]
  /** The members of an object that columns of a table may hold by themselves (`address.country`). */
  readonly parts?: Readonly<Record<string, Field>>
  /** The noun of which a record is made for each name that is new. */
  readonly makes?: string
  /** Weight in the search document: A is the title's. */
  readonly searched?: 'A' | 'B' | 'C' | 'D'
  /** A whole expression over alias `r`, for members that are no column (`weightedValue`). */
  readonly expression?: string
  /** The members that it is worked out from, or that go into it: who sees it could work them out again. */
  readonly from?: readonly string[]
  readonly example?: unknown
}

/** A normal form: the column that holds it, SQL that makes a text so, and the same outside of the database. */
export interface Normal {
  readonly column: string
  readonly sql: (text: string) => string
  readonly of: (text: string) => string
}

type Options<T> = Partial<Omit<Field<T>, 'schema' | 'type' | 'kind'>>

const exact: readonly Operator[] = ['eq', 'ne', 'in', 'nin', 'isNull']
const ranged: readonly Operator[] = [...exact, 'gt', 'gte', 'lt', 'lte']
const textual: readonly Operator[] = [...exact, 'contains', 'startsWith']

/** Text as sent except white space around it. A NUL character, which Postgres cannot hold, is refused. */
export const textSchema = (max: number): z.ZodType<string> =>
  z
    .string()
    .trim()
    .max(max)
    .refine((value) => !value.includes('\0'), { message: 'must not contain a NUL character' })
    .refine((value) => value.isWellFormed(), { message: 'must be well-formed Unicode' })

/** Text that is more than white space. */
export const filledSchema = (max: number, message = 'must not be empty'): z.ZodType<string> =>
  textSchema(max).refine((value) => value.length > 0, { message })

/** The same of a member that can be cleared. */
export const clearableSchema = (max: number): z.ZodType<string> =>
  filledSchema(max, 'must not be empty; send null to clear it')

/** A line of text. */
export const text = (options: Options<string> & { max?: number } = {}): Field<string> => ({
  kind: 'text',
  schema: clearableSchema(options.max ?? 255),
  type: 'text',
  filter: textual,
  ...options,
})

/** Text of any length that is neither filtered nor sorted (a body, a description). */
export const longText = (options: Options<string> & { max?: number } = {}): Field<string> => ({
  kind: 'longText',
  schema: clearableSchema(options.max ?? 100_000),
  type: 'text',
  filter: ['isNull'],
  ...options,
})

const emailSchema = clearableSchema(320).refine(
  (value) => /^[^\s@"(),:;<>[\]\\]+@[^\s@"(),:;<>[\]\\.]+(\.[^\s@"(),:;<>[\]\\.]+)+$/u.test(value),
  {
    message: 'must be an email address',
  },
)

/** An email address, kept as sent. */
export const email = (options: Options<string> = {}): Field<string> => ({
  kind: 'email',
  schema: emailSchema,
  type: 'text',
  filter: textual,
  example: 'ada@example.com',
  ...options,
})

/** The normal form of a name: without case, spaces and punctuation; the table has the column `name_key`. */
export const nameKey: Normal = {
  column: 'name_key',
  sql: (text) => `name_key(${text})`,
  of: (text) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '') || text.toLowerCase(),
}

/** The normal form of an email address: without case; the table has the column `email_key`. */
export const emailKey: Normal = {
  column: 'email_key',
  sql: (text) => `lower(${text})`,
  of: (text) => text.toLowerCase(),
}

/** A phone number, kept as sent. */
export const phone = (options: Options<string> = {}): Field<string> => ({
  kind: 'phone',
  schema: clearableSchema(50),
  type: 'text',
  filter: textual,
  example: '+44 20 7946 0958',
  ...options,
})

/** An absolute http or https address. */
export const url = (options: Options<string> = {}): Field<string> => ({
  kind: 'url',
  schema: clearableSchema(2048).refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
    message: 'must be an http or https URL',
  }),
  type: 'text',
  filter: textual,
  ...options,
})

/** Several short texts. */
export const list = (item: 'email' | 'phone', options: Options<string[]> = {}): Field<string[]> => ({
  kind: `${item}s`,
  schema: z.array(item === 'email' ? emailSchema : clearableSchema(50)).max(20),
  type: 'text[]',
  default: [],
  print: (column) => `to_jsonb(${column})`,
  ...options,
})

/** A whole number between bounds. */
export const integer = (options: Options<number> & { min?: number; max?: number } = {}): Field<number> => ({
  kind: 'number',
  schema: z
    .int()
    .min(options.min ?? -2_147_483_648)
    .max(options.max ?? 2_147_483_647),
  type: 'integer',
  filter: ranged,
  parseFilter: parseWhole,
  ...options,
})

/** A number that may have a fraction (a position on a board). */
export const decimal = (options: Options<number> = {}): Field<number> => ({
  kind: 'decimal',
  schema: z.number().min(-1e15).max(1e15),
  type: 'double precision',
  filter: ranged,
  parseFilter: parseNumber,
  ...options,
})

/** An amount with at most 4 decimals, stored exactly; `<column>_units` (×10⁴) filters and sorts. */
export const money = (options: Options<number> & { min?: number } = {}): Field<number> => ({
  kind: 'money',
  schema: z
    .number()
    .min(options.min ?? -99_999_999_999.9999)
    .max(99_999_999_999.9999)
    .refine(hasFourDecimals, { message: 'must have at most 4 decimals' }),
  type: 'numeric',
  print: (column) => `trim_scale(${column})`,
  filter: ranged,
  sortType: 'bigint',
  parseFilter: (value) => {
    const number = parseNumber(value)
    if (!hasFourDecimals(number) || Math.abs(number) > 99_999_999_999.9999)
      throw new RangeError('must have at most 4 decimals')
    return String(Math.round(number * 10_000))
  },
  ...options,
})

/** An ISO 4217 code; absent: the tenant's. */
export const currency = (options: Options<string> = {}): Field<string> => ({
  kind: 'currency',
  schema: z
    .string()
    .trim()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR')
    .refine(isCurrency, {
      message: 'must be an ISO 4217 code such as EUR',
    }),
  type: 'text',
  filter: ['eq', 'ne', 'in', 'nin'],
  absent: 'currency',
  neverNull: true,
  example: 'USD',
  ...options,
})

/** A day: YYYY-MM-DD. */
export const date = (options: Options<string> = {}): Field<string> => ({
  kind: 'date',
  schema: z.iso.date().refine(inRange, { message: 'must be a date between the years 1 and 9999' }),
  type: 'date',
  print: (column) => `to_char(${column}, 'YYYY-MM-DD')`,
  filter: ranged,
  parseFilter: (value) => parseBy(z.iso.date().refine(inRange), value, 'must be a date: YYYY-MM-DD'),
  example: '2026-11-21',
  ...options,
})

/** An instant as a request sends it, at any offset; becomes UTC with milliseconds, finer digits dropped. */
export const instantSchema = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time' })
  .refine(inRange, { message: 'must be a time between the years 1 and 9999' })
  .overwrite((value) => (inRange(value) ? new Date(value).toISOString() : value))

/** An instant: RFC 3339, kept to the millisecond, answered in UTC. */
export const time = (options: Options<string> = {}): Field<string> => ({
  kind: 'time',
  schema: instantSchema,
  type: 'timestamptz',
  print: timeSql,
  filter: ranged,
  parseFilter: (value) => {
    const instant = /^\d{4}-\d{2}-\d{2}$/.test(value) ? `${value}T00:00:00Z` : value
    return parseBy(z.iso.datetime({ offset: true }).refine(inRange), instant, 'must be a date or an RFC 3339 time')
  },
  example: '2026-11-21T08:00:00.000Z',
  ...options,
})

/** One of a fixed set of words. */
export const choice = <const V extends string>(values: readonly [V, ...V[]], options: Options<V> = {}): Field<V> => ({
  kind: 'choice',
  schema: z.enum(values) as unknown as z.ZodType<V>,
  choices: values,
  type: 'text',
  filter: exact,
  parseFilter: (value) => parseBy(z.enum(values), value, `must be one of ${values.join(', ')}`),
  ...options,
})

/** Yes or no. */
export const flag = (options: Options<boolean> = {}): Field<boolean> => ({
  kind: 'flag',
  schema: z.boolean(),
  type: 'boolean',
  default: false,
  filter: ['eq', 'ne'],
  parseFilter: (value) => {
    if (value !== 'true' && value !== 'false') throw new RangeError('must be true or false')
    return value === 'true'
  },
  ...options,
})

/** An object or list of its own shape, kept as JSON. */
export const json = <T>(schema: z.ZodType<T>, options: Options<T> = {}): Field<T> => ({
  kind: 'json',
  schema,
  type: 'jsonb',
  bind: (value) => JSON.stringify(value),
  ...options,
})

/** The schema with which a PATCH merges an object: every part may be absent, and null clears it. */
export const mergeable = (parts: Readonly<Record<string, z.ZodType>>): z.ZodType<unknown> =>
  z.strictObject(Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.nullable().optional()])))

/** Text that follows a rule of its own (a time zone, a colour). */
export const ruled = (schema: z.ZodType<string>, options: Options<string> = {}): Field<string> => ({
  kind: 'text',
  schema,
  type: 'text',
  ...options,
})

/** Another record of the tenant, by id. */
export const ref = (type: string, options: Options<string> = {}): Field<string> => ({
  kind: 'ref',
  schema: idSchema,
  type: 'uuid',
  ref: type,
  filter: exact,
  parseFilter: (value) => parseBy(idSchema, value, 'must be the id of a record'),
  ...options,
})

/** Several records of one noun, by id; filtered by any of them. */
export const refs = (type: string, options: Options<string[]> = {}): Field<string[]> => ({
  kind: 'refs',
  schema: z
    .array(idSchema)
    .max(100)
    .transform((ids) => [...new Set(ids.map((id) => id.toLowerCase()))]),
  type: 'uuid[]',
  default: [],
  ref: type,
  many: true,
  print: (column) => `to_jsonb(${column})`,
  filter: exact,
  side: 'links',
  parseFilter: (value) => parseBy(idSchema, value, 'must be the id of a record'),
  ...options,
})

/** Records of several nouns, what a note is about or who took part in a call: `[{type, id}]`; filtered by the id. */
export const related = (types: readonly [string, ...string[]], options: Options<Related[]> = {}): Field<Related[]> => ({
  kind: 'related',
  refs: types,
  schema: z
    .array(z.strictObject({ type: z.enum(types), id: idSchema }))
    .max(50)
    .refine((items) => new Set(items.map((item) => item.id.toLowerCase())).size === items.length, {
      message: 'must not name a record twice',
    }),
  type: 'jsonb',
  bind: (value) => JSON.stringify(value),
  default: [],
  filter: exact,
  side: 'links',
  parseFilter: (value) => parseBy(idSchema, value, 'must be the id of a record'),
  ...options,
})

export interface Related {
  readonly type: string
  readonly id: string
}

/** Labels of the tenant's own; unknown ones are made. */
export const tags = (): Field<string[]> => ({
  kind: 'tags',
  schema: z
    .array(clearableSchema(50))
    .max(50)
    .transform((names) => [...new Set(names)]),
  type: 'text[]',
  default: [],
  print: (column) => `to_jsonb(${column})`,
  filter: textual,
  side: 'tags',
  makes: 'tag',
  example: ['vip'],
})

/** The values of the tenant's custom fields by their keys; checked against the definitions by the engine. */
export const customFields = (): Field<Record<string, unknown>> => ({
  kind: 'customFields',
  schema: z.record(z.string().max(64), z.unknown()),
  type: 'jsonb',
  default: {},
  bind: (value) => JSON.stringify(value),
  side: 'custom',
  example: {},
})

/** An id as a request sends it. */
export const idSchema = z.guid({ error: 'must be the id of a record' }).transform((id) => id.toLowerCase())

function parseBy<T>(schema: z.ZodType<T>, value: string, message: string): T {
  const result = schema.safeParse(value)
  if (!result.success) throw new RangeError(message)
  return result.data
}

function parseWhole(value: string): number {
  const number = parseNumber(value)
  if (!Number.isInteger(number) || Math.abs(number) > 2_147_483_647) throw new RangeError('must be a whole number')
  return number
}

function parseNumber(value: string): number {
  if (!/^-?\d{1,15}(\.\d{1,10})?$/.test(value)) throw new RangeError('must be a number')
  return Number(value)
}

/** Whether a double prints with at most 4 decimals (its shortest form, which is what the client wrote). */
function hasFourDecimals(value: number): boolean {
  const printed = String(value)
  if (printed.includes('e')) return value === 0
  return (printed.split('.')[1] ?? '').length <= 4
}

function inRange(value: string): boolean {
  const instant = Date.parse(value)
  return instant >= firstInstant && instant <= lastInstant
}

const firstInstant = Date.parse('0001-01-01T00:00:00Z')
const lastInstant = Date.parse('9999-12-31T23:59:59.999Z')

const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))

/** Whether a code is a currency that the platform's CLDR knows. */
export const isCurrency = (code: string): boolean => currencies.has(code)
