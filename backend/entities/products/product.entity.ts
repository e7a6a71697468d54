import { defineEntity } from '../../kernel/entity/define.ts'
import { currency, customFields, flag, longText, money, nameKey, tags, text } from '../../kernel/entity/fields.ts'

/** What is sold. Its price is where the lines of a deal begin. */
export const product = defineEntity({
  type: 'product',
  path: 'products',
  fields: {
    name: text({ required: true, sort: true, searched: 'A', normal: nameKey }),
    sku: text({ max: 100, sort: true, searched: 'B', describe: 'Your article number' }),
    description: longText({ max: 10_000, searched: 'C', filter: [] }),
    price: money({ min: 0, sort: true, sortColumn: 'price_units' }),
    currency: currency(),
    active: flag({ default: true, describe: 'Whether it is still offered' }),
    tags: tags(),
    customFields: customFields(),
  },
  namedBy: ['name', 'sku', 'externalId'],
  title: (record) => String(record.name ?? ''),
  searchable: true,
  shareable: true,
  example: { name: 'GTX Pro', sku: 'GTX-PRO', price: 4821, currency: 'USD' },
})
