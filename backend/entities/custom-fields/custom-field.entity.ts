import { z } from 'zod'
import { customProblem } from '../../kernel/entity/custom.ts'
import { defineEntity, type Entity } from '../../kernel/entity/define.ts'
import { choice, filledSchema, flag, integer, json, ruled, text } from '../../kernel/entity/fields.ts'
import type { MemberError } from '../../kernel/errors.ts'
import { recordTypes } from '../records.ts'

export const customFieldTypes = [
  'text',
  'number',
  'date',
  'boolean',
  'select',
  'multiselect',
  'url',
  'email',
  'phone',
  'user',
] as const

const option = filledSchema(100)

const defined = defineEntity({
  type: 'custom_field',
  path: 'custom-fields',
  table: 'custom_fields',
  fields: {
    resource: choice(recordTypes, {
      required: true,
      fixed: true,
      filter: ['eq', 'in'],
    }),
    key: ruled(
      z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be lower-case letters, digits and _, beginning with a letter'),
      {
        required: true,
        fixed: true,
      },
    ),
    label: text({ required: true, max: 100, filter: [] }),
    type: choice(customFieldTypes, { required: true, fixed: true, column: 'field_type', filter: [] }),
    required: flag({ filter: [] }),
    active: flag({
      default: true,
      filter: [],
      describe: 'Out of use, records keep its values and neither show nor take them',
    }),
    unique: flag({ column: 'is_unique', filter: [], fixed: true }),
    options: json(z.array(option).max(500), { default: [], describe: 'The values of a select or multiselect' }),
    default: json(z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]), { column: 'default_value' }),
    description: text({ max: 500, filter: [] }),
    order: integer({ column: 'position', filter: [] }),
  },
  title: (record) => String(record.label ?? ''),
  example: { resource: 'deal', key: 'engage_date', label: 'Engage date', type: 'date' },
})

/** A member that the tenant adds to a resource. What it is on (`resource`, `key`, `type`, `unique`) is fixed once made. */
export const customField: Entity = {
  ...defined,
  createSchema: defined.createSchema.superRefine((values, ctx) => {
    for (const { path, message } of definitionErrors(values)) ctx.addIssue({ code: 'custom', path: [path], message })
  }),
}

/** What does not fit together in a definition: options and default must go with the type. */
export function definitionErrors(values: Readonly<Record<string, unknown>>): MemberError[] {
  const wrong = (path: string, message: string): MemberError[] => [{ path, message, code: 'invalid_value' }]
  const { type, default: preset } = values
  const options = Array.isArray(values.options) ? values.options.map(String) : []
  const isPick = type === 'select' || type === 'multiselect'
  if (isPick && options.length === 0) return wrong('options', 'must name what can be chosen')
  if (!isPick && options.length > 0) return wrong('options', 'are of a select or multiselect only')
  if (new Set(options).size !== options.length) return wrong('options', 'must not name an option twice')
  if (preset === undefined || preset === null) return []
  if (type === 'user') return wrong('default', 'cannot be a user: members come and go')
  if (values.unique === true) return wrong('default', 'cannot be the value of every record of a unique field')
  const problem = customProblem({ type: String(type), options }, preset)
  return problem ? wrong('default', problem) : []
}
