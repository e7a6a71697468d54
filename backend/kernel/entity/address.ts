import { z } from 'zod'
import { type Field, json, mergeable, text, textSchema } from './fields.ts'

const line = textSchema(255)

const parts = { street: line, street2: line, city: line, state: line, postalCode: line, country: line }

/** A postal address; every part is optional, and a PATCH merges parts. */
export const address = (): Field =>
  json<unknown>(z.strictObject(parts).partial(), {
    merge: mergeable(parts),
    parts: Object.fromEntries(Object.keys(parts).map((part) => [part, text()])),
    example: { street: '12 St James Square', city: 'London', country: 'United Kingdom' },
  })
