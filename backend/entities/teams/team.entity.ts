import { defineEntity } from '../../kernel/entity/define.ts'
import { ref, text } from '../../kernel/entity/fields.ts'

/** A sales team with its manager, which may be part of another. */
export const team = defineEntity({
  type: 'team',
  path: 'teams',
  fields: {
    name: text({ required: true, max: 100, filter: ['eq', 'in', 'contains', 'startsWith'] }),
    managerId: ref('user', { include: 'manager', filter: ['eq', 'in'] }),
    parentId: ref('team', {
      include: 'parent',
      describe: 'The team that it is a part of: who leads that leads this too',
    }),
  },
  namedBy: ['name', 'externalId'],
  title: (record) => String(record.name ?? ''),
  example: { name: 'Central' },
})
