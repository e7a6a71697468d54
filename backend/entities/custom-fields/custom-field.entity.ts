import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, flag, integer, json, ruled, text, textSchema } from '../../kernel/entity/fields.ts'

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

const option = textSchema(100).refine((value) => value.length > 0, { message: 'must not be empty' })

/** A member that the tenant adds to a resource. What it is on (`resource`, `key`, `type`) is fixed once made. */
export const customField = defineEntity({
  type: 'custom_field',
  path: 'custom-fields',
  table: 'custom_fields',
  fields: {
    resource: choice(['contacts', 'companies', 'deals', 'tasks', 'notes'], {
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
    unique: flag({ column: 'is_unique', filter: [], fixed: true }),
    options: json(z.array(option).max(500), { default: [], describe: 'The values of a select or multiselect' }),
    default: json(z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]), { column: 'default_value' }),
    description: text({ max: 500, filter: [] }),
    order: integer({ column: 'position', filter: [] }),
  },
  title: (record) => String(record.label ?? ''),
  example: { resource: 'deals', key: 'engage_date', label: 'Engage date', type: 'date' },
})
