import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { json, text, textSchema } from '../../kernel/entity/fields.ts'

const permission = z.strictObject({
  resource: textSchema(50),
  action: z.enum(['read', 'create', 'update', 'delete']),
  scope: z.enum(['own', 'team', 'all']),
})

const fieldRule = z.strictObject({
  resource: textSchema(50),
  field: textSchema(100),
  rule: z.enum(['hidden', 'readOnly']),
})

/** A role of the tenant's own: what it grants beside reading what the house is set up with, and what it hides. */
export const role = defineEntity({
  type: 'role',
  path: 'roles',
  fields: {
    name: text({ required: true, max: 100, sort: true, filter: ['eq', 'contains', 'startsWith'] }),
    description: text({ max: 1_000, filter: [] }),
    permissions: json(z.array(permission).max(500), {
      default: [],
      describe: 'What it grants; of an action that stands twice the wider scope holds. Nothing else is granted',
    }),
    fieldRules: json(z.array(fieldRule).max(500), {
      default: [],
      describe: 'Members that it does not see, or sees and may not write',
    }),
  },
  title: (record) => String(record.name ?? ''),
  example: {
    name: 'Sales development',
    permissions: [
      { resource: 'lead', action: 'read', scope: 'team' },
      { resource: 'lead', action: 'update', scope: 'own' },
      { resource: 'contact', action: 'read', scope: 'all' },
    ],
    fieldRules: [{ resource: 'contact', field: 'birthday', rule: 'hidden' }],
  },
})
