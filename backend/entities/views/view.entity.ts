import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, flag, json, ref, text, textSchema } from '../../kernel/entity/fields.ts'
import { recordTypes } from '../records.ts'

const one = z.union([textSchema(1_000), z.number(), z.boolean()])

/** A list as somebody likes to see it. Filters and sort are written as in the query of the list. */
export const view = defineEntity({
  type: 'view',
  path: 'views',
  fields: {
    name: text({ required: true, max: 100, filter: [] }),
    resource: choice(recordTypes, { required: true, fixed: true, filter: ['eq'] }),
    filters: json(z.record(textSchema(200), z.union([one, z.array(one).max(100)])), {
      default: {},
      describe: 'Parameters of the list, as `{"status": "open", "value[gte]": 1000, "ownerId": "me"}`',
    }),
    sort: text({ max: 300, filter: [] }),
    columns: json(z.array(textSchema(100)).max(100), { default: [] }),
    shared: choice(['private', 'shared'], { default: 'private', filter: ['eq'] }),
    isDefault: flag({
      filter: [],
      describe: 'What the list shows at first: of a private view its owner, of a shared one everybody without an own',
    }),
    ownerId: ref('user', { absent: 'actor', fixed: true, filter: [] }),
  },
  title: (record) => String(record.name ?? ''),
  heldBy: ['ownerId'],
  example: {
    name: 'My open deals',
    resource: 'deal',
    filters: { status: 'open', ownerId: 'me' },
    sort: '-value',
    columns: ['name', 'value', 'stageId'],
  },
})
