import { createHash } from 'node:crypto'
import { z } from 'zod'
import { invalidMember } from '../errors.ts'

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
export const pageOf = (item: z.ZodType): z.ZodType =>
  z.object({
    data: z.array(item),
    page: z.object({
      limit: z.int(),
      nextCursor: z.string().nullable(),
      total: z.int().optional(),
      totalIsLowerBound: z.literal(true).optional(),
    }),
  })

/** Prints a position as an opaque cursor that is good for this list, filter and sort only. */
export function writeCursor(position: readonly unknown[], list: string): string {
  return Buffer.from(JSON.stringify([digest(list), ...position])).toString('base64url')
}

/** Reads a cursor back; 400 when it is no cursor of ours or of another list, filter or sort. */
export function readCursor(cursor: string, list: string): unknown[] {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw invalidMember('cursor', 'must be a cursor that a page of this list gave')
  }
  if (!Array.isArray(value) || value[0] !== digest(list)) {
    throw invalidMember('cursor', 'must be used with the filter and sort of the page that gave it')
  }
  return value.slice(1)
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 10)
