import { defineEntity } from '../../kernel/entity/define.ts'
import { customFields, flag, longText, related, tags } from '../../kernel/entity/fields.ts'
import { recordTypes } from '../records.ts'

/** What somebody wrote down about one or several records, in Markdown. */
export const note = defineEntity({
  type: 'note',
  path: 'notes',
  fields: {
    body: longText({ required: true, searched: 'B', filter: [] }),
    pinned: flag(),
    related: related(recordTypes),
    tags: tags(),
    customFields: customFields(),
  },
  title: (record) => {
    const firstLine = String(record.body ?? '').split('\n', 1)[0] ?? ''
    return firstLine.replace(/^[#>*\s-]+/, '').slice(0, 120)
  },
  searchable: true,
  shareable: true,
  example: { body: 'They want to decide before Christmas.', pinned: true },
})
