import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { filledSchema, flag, json, ruled, text } from '../../kernel/entity/fields.ts'
import { localeSchema } from '../../kernel/entity/places.ts'
import { apart, sight } from '../../kernel/sight.ts'

const line = (max: number) => filledSchema(max)

/** How an item is called: in general, and in languages. */
const labels = z.record(localeSchema, line(100))

/** What of an item can be changed. Its value is what records hold, and stays. */
export const itemChange = z.strictObject({
  label: line(100).optional(),
  labels: labels.optional(),
  order: z.int().min(0).max(1_000_000).optional(),
  color: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'must be a colour such as #1f77b4')
    .nullable()
    .optional(),
  active: z.boolean().optional(),
})

/** An item as a request makes it: one of value and label is the other. */
export const itemInput = itemChange
  .extend({ value: line(100).optional() })
  .refine(({ value, label }) => value !== undefined || label !== undefined, {
    message: 'is required, or label',
    path: ['value'],
  })

/** The shape of an item. */
// Forms are filled in by pick lists: no role hides anything of them (`role.actions.ts`).
export const itemSchema = z
  .object({
    id: z.uuid(),
    value: z.string(),
    label: z.string(),
    labels: z.record(z.string(), z.string()),
    order: z.int(),
    color: z.string().nullable(),
    active: z.boolean(),
  })
  .meta({
    id: 'LookupItem',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a91',
      value: 'referral',
      label: 'Referral',
      labels: { de: 'Empfehlung' },
      order: 1,
      color: '#d4af37',
      active: true,
    },
  })
  .register(sight, apart)

export type Item = z.output<typeof itemSchema>

/** The name of a list in its path. */
export const listName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and -, beginning with a letter')

/** A pick list: what a member may or should hold. Records hold the `value` of an item, people see its label. */
export const lookup = defineEntity({
  type: 'lookup',
  path: 'lookups',
  fields: {
    list: ruled(listName, { required: true, fixed: true, filter: [] }),
    label: text({ required: true, max: 100, filter: [] }),
    restricted: flag({ filter: [], describe: 'Whether a record may newly hold no other value than the active ones' }),
    items: json(z.array(itemSchema), { default: [] }),
  },
  title: (record) => String(record.label ?? ''),
  example: { list: 'source', label: 'Source' },
})

/** The lists that members of records take their values from; they stay. */
export const builtInLists: ReadonlySet<string> = new Set(['source', 'industry', 'lost-reason', 'job-title'])
