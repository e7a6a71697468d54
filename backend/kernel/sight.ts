import type { z } from 'zod'
import type { Rights } from './rights.ts'

/** Gives a value without what somebody does not see. */
export type Mask = (rights: Pick<Rights, 'fields'>, value: unknown) => unknown

/** What a schema says of records: how it is masked, or that there is nothing of them in it. */
type Mark = Mask | 'apart'

const marks = new WeakMap<z.ZodType, Mark>()

/** Says of a schema how what it describes is shown to somebody. */
export function masked<S extends z.ZodType>(schema: S, mask: Mask): S {
  marks.set(schema, mask)
  return schema
}

/**
 * Says of a schema that it holds members of a record under their own names: of a record of this type, or of the one that
 * its `type` names. Members that may be hidden must be optional.
 */
export const excerpt = <S extends z.ZodType>(schema: S, type?: string): S => masked(schema, maskExcerpt(type))

/** What was said of this very schema; one that is made of it (`extend`, `pick`) says nothing. */
export const markOf = (schema: z.ZodType): Mark | undefined => marks.get(schema)

/** Takes out of members of a record those that are hidden, but for what says which record it is. */
export const maskExcerpt =
  (type?: string): Mask =>
  (rights, value) => {
    if (!isObject(value)) return value
    const hidden = rights.fields?.(type ?? String(value.type))?.hidden
    if (!hidden) return value
    return Object.fromEntries(Object.entries(value).filter(([name]) => identity.has(name) || !hidden.has(name)))
  }

const identity: ReadonlySet<string> = new Set(['type', 'id'])

/** The mask of a list. */
export const maskEach =
  (mask: Mask): Mask =>
  (rights, value) =>
    Array.isArray(value) ? value.map((item) => mask(rights, item)) : value

/** Whether a value has members. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
