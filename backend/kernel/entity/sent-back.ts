import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { invalid } from '../errors.ts'

/**
 * The members of a record that a change may send back though it cannot set them, for the nouns that write by hand.
 * Whether they are what the record holds, {@link refuseAltered} says.
 */
export function sentBack(
  record: z.ZodObject,
  writable: readonly string[],
): Record<string, z.ZodOptional<z.ZodUnknown>> {
  const names = Object.keys(record.shape).filter((name) => !writable.includes(name))
  return Object.fromEntries(names.map((name) => [name, z.unknown().optional()]))
}

/** Refuses read-only members that were sent back otherwise than they are. */
export function refuseAltered(
  before: Readonly<Record<string, unknown>>,
  sent: Readonly<Record<string, unknown>>,
): void {
  const altered = Object.entries(sent).filter(
    ([name, value]) => value !== undefined && !isDeepStrictEqual(value, before[name]),
  )
  if (altered.length === 0) return
  throw invalid(
    altered.map(([path]) => ({ path, message: 'is read-only and differs from what it is', code: 'read_only' })),
  )
}
