import { createHash } from 'node:crypto'
import { z } from 'zod'
import { idSchema } from '../entity/fields.ts'
import { invalidMember, type Problem } from '../errors.ts'
import { apart, sight } from '../sight.ts'
import { JsonText } from './route.ts'

/** `limit` of a list: 1 to 200, 50 by default. */
export const limitSchema = z
  .string()
  .regex(/^\d{1,3}$/, 'must be a whole number from 1 to 200')
  .transform(Number)
  .refine((value) => value >= 1 && value <= 200, { message: 'must be a whole number from 1 to 200' })
  .meta({ type: 'integer', minimum: 1, maximum: 200, default: 50 })
  .optional()

/** `cursor` of a list: opaque, as a page gave it. */
export const cursorSchema = z.string().min(1).max(2000).optional()

/** The shape of a page of items. */
export const pageOf = (item: z.ZodType): z.ZodType => z.object({ data: z.array(item), page: pageInfo })

const pageInfo = z
  .object({
    limit: z.int(),
    nextCursor: z.string().nullable(),
    total: z.int().optional(),
    totalIsLowerBound: z.literal(true).optional(),
  })
  .register(sight, apart)

/** Some rows of a list, and where the next begin. */
export interface Page<T> {
  readonly data: readonly T[]
  readonly page: { readonly limit: number; readonly nextCursor: string | null }
}

/** Cuts a page out of rows, of which one more was read than it holds: then there is a next, after the place of its last. */
export function paged<T>(
  rows: readonly T[],
  limit: number,
  list: string,
  placeOf: (last: T) => readonly unknown[],
): Page<T> {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  const nextCursor = rows.length > limit && last !== undefined ? writeCursor(placeOf(last), list) : null
  return { data, page: { limit, nextCursor } }
}

/** A page of rows that Postgres printed. */
export const printedPage = ({ data, page }: Page<{ readonly json: string }>): JsonText =>
  new JsonText(`{"data":[${data.map(({ json }) => json).join(',')}],"page":${JSON.stringify(page)}}`)

/** The place after which a list goes on: null at its beginning, 400 when no page of this list, filter and sort gave the cursor. */
export function readPlace<T>(cursor: string | undefined, list: string, schema: z.ZodType<T>): T | null {
  if (cursor === undefined) return null
  const place = schema.safeParse(readCursor(cursor, list))
  if (!place.success) throw unknownCursor()
  return place.data
}

/** A place in a list that runs by the time at which things were made. */
export const timePlace = z
  .tuple([z.iso.datetime({ precision: 3 }).regex(/^(?!0000)/), idSchema])
  .transform(([createdAt, id]) => ({ createdAt, id }))

/** Somebody made the cursor up, or changed it. */
export const unknownCursor = (): Problem => invalidMember('cursor', noCursor)

/** What is said of a cursor that is none. */
export const noCursor = 'must be a cursor that a page of this list gave'

/** Prints a position as an opaque cursor that is good for this list, filter and sort only. */
export function writeCursor(position: readonly unknown[], list: string): string {
  return Buffer.from(JSON.stringify([digest(list), ...position])).toString('base64url')
}

function readCursor(cursor: string, list: string): unknown[] {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw unknownCursor()
  }
  if (!Array.isArray(value) || value[0] !== digest(list)) {
    throw invalidMember('cursor', 'must be used with the filter and sort of the page that gave it')
  }
  return value.slice(1)
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 10)
