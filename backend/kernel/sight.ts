import { z } from 'zod'
import type { Rights } from './rights.ts'

/** Gives a value without what somebody does not see. */
export type Mask = (rights: Pick<Rights, 'fields'>, value: unknown) => unknown

/** How what a schema describes is shown to somebody; null: as it is. */
export interface Sight {
  readonly mask: Mask | null
}

/**
 * What schemas of answers say of the records in them: `z.object({ ... }).register(sight, apart)`. It is said of that very
 * schema: one that extends it, or picks of it, says nothing.
 */
export const sight = z.registry<object>()

/** What was said of a schema. Zod writes the types anew of what a registry holds, and those of sets wrongly: hence the cast. */
export const sightOf = (schema: z.ZodType): Sight | undefined => {
  const said = sight.get(schema)
  return said && 'mask' in said ? (said as Sight) : undefined
}

/** There is nothing of records in it that a role could hide, or who does not see what is in it is refused before. */
export const apart: Sight = { mask: null }

/**
 * It holds members of a record under their own names: of a record of this type, or of the one that its `type` names.
 * Members that may be hidden must be optional.
 */
export const excerpt = (type?: string): Sight => ({ mask: maskExcerpt(type) })

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
