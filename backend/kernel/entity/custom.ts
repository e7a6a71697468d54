import { isPossiblePhoneNumber } from 'libphonenumber-js/min'
import { z } from 'zod'
import type { Ctx } from '../context.ts'
import { invalid, type MemberError } from '../errors.ts'
import { clearableSchema, date, email, idSchema, phone, url } from './fields.ts'

/** A custom field of a tenant, as its definition says. */
export interface CustomField {
  readonly id: string
  readonly key: string
  readonly type: string
  readonly required: boolean
  readonly unique: boolean
  readonly options: readonly string[]
  readonly default: unknown
}

/** Gives the definitions of a resource, from a cache that the log keeps right. */
export interface CustomFields {
  /** `keys` are those that a request uses: one that is not known may be a moment old, and is looked for again. */
  of(ctx: Ctx, resource: string, keys?: readonly string[]): Promise<readonly CustomField[]>
  /** Forgets what is cached of a tenant: another process may have changed it. */
  forget(tenantId: string): void
}

/** The values of a write, checked: what the column takes, and the rows of the side table. */
export interface CustomWrite {
  /** With `null` for what is cleared. */
  readonly values: Readonly<Record<string, unknown>>
  readonly rows: readonly CustomRow[]
  /** Definitions whose rows are replaced. */
  readonly touched: readonly string[]
  /** The users that values refer to, by their keys: to be checked. */
  readonly users: Readonly<Record<string, string>>
}

export interface CustomRow {
  readonly fieldId: string
  readonly place: number
  readonly text: string | null
  readonly number: number | null
  readonly unique: string | null
}

/**
 * Checks custom values against their definitions. `whole` (create, PUT) fills in defaults and asks for what is required;
 * otherwise absent leaves. Throws `400 VALIDATION_FAILED` that names each wrong key.
 */
export function checkCustom(
  definitions: readonly CustomField[],
  sent: Readonly<Record<string, unknown>> | undefined,
  whole: boolean,
): CustomWrite {
  const byKey = new Map(definitions.map((definition) => [definition.key, definition]))
  const errors: MemberError[] = []
  // Without a prototype: a field may be called `constructor`.
  const values: Record<string, unknown> = Object.create(null)
  for (const [key, value] of Object.entries(sent ?? {})) {
    const definition = byKey.get(key)
    if (!definition)
      errors.push({
        path: `customFields.${key}`,
        message: 'is not a custom field of this resource',
        code: 'unrecognized_keys',
      })
    else if (value === null) values[key] = null
    else {
      const result = schemaOf(definition).safeParse(value)
      if (result.success) values[key] = result.data
      else
        errors.push({
          path: `customFields.${key}`,
          message: result.error.issues[0]?.message ?? 'is not valid',
          code: 'invalid_value',
        })
    }
  }
  for (const definition of definitions) {
    const { key } = definition
    if (whole && values[key] === undefined && definition.default !== null) values[key] = definition.default
    const missing = values[key] === null || (whole && values[key] === undefined)
    if (definition.required && missing && !errors.some((error) => error.path === `customFields.${key}`)) {
      errors.push({ path: `customFields.${key}`, message: 'is required', code: 'required' })
    }
  }
  if (errors.length > 0) throw invalid(errors)
  const touched = whole ? definitions : definitions.filter((definition) => values[definition.key] !== undefined)
  return {
    values,
    touched: touched.map((definition) => definition.id),
    rows: touched.flatMap((definition) => rowsOf(definition, values[definition.key])),
    users: usersOf(definitions, values),
  }
}

function usersOf(
  definitions: readonly CustomField[],
  values: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const users: Record<string, string> = Object.create(null)
  for (const { key, type } of definitions) {
    const value = values[key]
    if (type === 'user' && typeof value === 'string') users[key] = value
  }
  return users
}

/** The rows of the side table for a value: one for each option of a multiselect, none for what is clear. */
export function rowsOf(definition: CustomField, value: unknown): CustomRow[] {
  if (value === null || value === undefined) return []
  const items: unknown[] = Array.isArray(value) ? value : [value]
  return items.map((item, place) => ({
    fieldId: definition.id,
    place,
    text: numberOf(definition.type, item) === null ? String(item) : null,
    number: numberOf(definition.type, item),
    // Of the whole value and in one row of it: several would meet each other.
    unique: definition.unique && place === 0 ? JSON.stringify(value) : null,
  }))
}

/** Whether values of a type filter and sort as numbers. */
export const isNumeric = (type: string): boolean => type === 'number' || type === 'date'

/** Numbers, and dates as days since 1970, filter and sort by their size; everything else as text. */
export function numberOf(type: string, value: unknown): number | null {
  if (type === 'number') return Number(value)
  if (type === 'date') return Math.round(Date.parse(`${String(value)}T00:00:00Z`) / 86_400_000)
  return null
}

/** What is wrong with a value of a custom field; undefined when nothing is. */
export function customProblem(definition: Pick<CustomField, 'type' | 'options'>, value: unknown): string | undefined {
  const result = schemaOf(definition).safeParse(value)
  return result.success ? undefined : (result.error.issues[0]?.message ?? 'is not valid')
}

function schemaOf(definition: Pick<CustomField, 'type' | 'options'>): z.ZodType {
  const make = schemas[definition.type]
  if (!make) throw new Error(`there is no custom field type ${definition.type}`)
  return make(definition)
}

/**
 * With its country code a number must be one that the numbering plan of the country can have. Without one it is of a
 * country that we do not know: digits, and what people write between them.
 */
function isPhoneNumber(text: string): boolean {
  if (text.trim().startsWith('+')) return isPossiblePhoneNumber(text)
  return /^[\d\s()./-]{3,}(?:\s*(?:x|ext\.?)\s*\d{1,6})?$/i.test(text) && text.replace(/\D/g, '').length >= 3
}

/** Short enough for an index entry in any script. */
const shortText = clearableSchema(500)

const schemas: Readonly<Record<string, (definition: Pick<CustomField, 'options'>) => z.ZodType>> = {
  text: () => shortText,
  number: () => z.number({ error: 'must be a number' }).min(-1e15).max(1e15),
  date: () => date().schema,
  boolean: () => z.boolean({ error: 'must be true or false' }),
  select: ({ options }) =>
    z.string().refine((value) => options.includes(value), { message: `must be one of ${options.join(', ')}` }),
  multiselect: ({ options }) =>
    z
      .array(z.string().refine((value) => options.includes(value), { message: `must be of ${options.join(', ')}` }))
      .max(500)
      .refine((values) => new Set(values).size === values.length, { message: 'must not name an option twice' }),
  url: () => z.intersection(shortText, url().schema),
  email: () => email().schema,
  phone: () => phone().schema.refine(isPhoneNumber, { message: 'must be a phone number such as +44 20 7946 0958' }),
  user: () => idSchema,
}
