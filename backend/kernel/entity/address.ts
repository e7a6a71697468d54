import { z } from 'zod'
import { type Field, json, textSchema } from './fields.ts'

const line = textSchema(255).optional()

const addressSchema = z.strictObject({
  street: line,
  street2: line,
  city: line,
  state: line,
  postalCode: line,
  country: line,
})

/** A postal address; every part is optional. */
export const address = (): Field<z.output<typeof addressSchema>> =>
  json(addressSchema, { example: { street: '12 St James Square', city: 'London', country: 'United Kingdom' } })
