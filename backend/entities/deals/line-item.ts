import { z } from 'zod'
import { filledSchema, idSchema, money } from '../../kernel/entity/fields.ts'
import { sentBack } from '../../kernel/entity/sent-back.ts'
import { apart, sight } from '../../kernel/sight.ts'

/** A line of a deal as the API shows it. */
export interface LineItem {
  readonly id: string
  readonly productId: string | null
  readonly name: string
  readonly quantity: number
  readonly unitPrice: number
  readonly discountPercent: number | null
  readonly discountAmount: number | null
  readonly taxPercent: number | null
  readonly currency: string
  /** Without tax. */
  readonly total: number
  readonly tax: number
  readonly position: number
  readonly createdAt: string
  readonly updatedAt: string
  readonly createdById: string | null
  readonly version: number
}

const amount = money().schema
const name = filledSchema(255)
const quantity = amount.refine((value) => value > 0, { message: 'must be more than 0' })
const percent = amount.refine((value) => value >= 0 && value <= 100, { message: 'must be between 0 and 100' })
const discount = amount.refine((value) => value >= 0, { message: 'must not be below 0' })

/** A line, for validation of answers and the document. */
export const lineItemSchema = z
  .object({
    id: z.uuid(),
    productId: z.uuid().nullable(),
    name: z.string(),
    quantity: z.number(),
    unitPrice: z.number(),
    discountPercent: z.number().nullable(),
    discountAmount: z.number().nullable(),
    taxPercent: z.number().nullable(),
    currency: z.string(),
    total: z.number().describe('quantity × unitPrice less the discount, without tax; rounded to 4 decimals'),
    tax: z.number(),
    position: z.number(),
    createdAt: z.iso.datetime({ precision: 3 }),
    updatedAt: z.iso.datetime({ precision: 3 }),
    createdById: z.uuid().nullable(),
    version: z.int(),
  })
  .meta({ id: 'LineItem' })
  // Whose role hides what lines come to is refused.
  .register(sight, apart)

const writable = {
  productId: idSchema.nullable().optional(),
  name: name.optional(),
  quantity: quantity.optional(),
  unitPrice: amount.optional(),
  discountPercent: percent.nullable().optional(),
  discountAmount: discount.nullable().optional(),
  taxPercent: percent.nullable().optional(),
  currency: z.string().optional(),
  position: z.number().min(-1e15).max(1e15).optional(),
}

const oneDiscount = (line: { discountPercent?: unknown; discountAmount?: unknown }): boolean =>
  typeof line.discountPercent !== 'number' || typeof line.discountAmount !== 'number'
const notBoth = { message: 'must be left out when discountPercent is given', path: ['discountAmount'] }

/** A line as it is added: what is left out comes from the product. */
export const newLineSchema = z.strictObject(writable).refine(oneDiscount, notBoth)

/** Changes of a line: absent leaves, null clears. */
export const changedLineSchema = z
  .strictObject({ ...writable, ...sentBack(lineItemSchema, Object.keys(writable)) })
  .refine(oneDiscount, notBoth)

export type NewLine = z.output<typeof newLineSchema>
export type ChangedLine = z.output<typeof changedLineSchema>
