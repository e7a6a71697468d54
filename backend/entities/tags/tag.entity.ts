import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { ruled, text } from '../../kernel/entity/fields.ts'

/** A label of the tenant's own. Records hold its name. */
export const tag = defineEntity({
  type: 'tag',
  path: 'tags',
  fields: {
    name: text({ required: true, max: 50, sort: true, filter: ['eq', 'in'] }),
    color: ruled(z.string().regex(/^#[0-9a-fA-F]{6}$/, 'must be a colour such as #1f77b4')),
    description: text({ max: 500, filter: [] }),
  },
  title: (record) => String(record.name ?? ''),
  example: { name: 'vip', color: '#d4af37' },
})
