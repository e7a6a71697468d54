import { at, type Example, type Examples, nothing, unique } from './call.ts'

/** What sets a house up: how records are kept, by which words, and who is what. */
export const onSettings: Examples = {
  ...settings('Pipeline', 'pipeline', () => ({ name: unique('Partners'), stages: [{ name: 'Open' }] })),
  ...settings('Tag', 'tag', () => ({ name: unique('vip') }), { color: '#d4af37' }),
  mergeTag: async ({ alice }) => {
    const [into, from] = [
      await alice.build('tag', { name: unique('a') }),
      await alice.build('tag', { name: unique('b') }),
    ]
    return { ...at(into.id), body: { fromIds: [from.id] } }
  },
  ...settings('CustomField', 'customField', () => customField(), { label: 'Where' }),
  restoreCustomField: async ({ alice }) => {
    const { id } = await alice.build('customField', customField())
    await alice.delete(`/custom-fields/${id}`)
    return at(id)
  },
  ...settings('Team', 'team', () => ({ name: unique('Central') })),
  ...settings('Role', 'role', () => ({ name: unique('Sales development') })),
  explainAccess: async ({ bob }) => ({ query: `userId=${bob.userId}&type=contact&action=update` }),
  ...settings('ExchangeRate', 'exchangeRate', () => ({ currency: 'EUR', rate: 1.1, validFrom: anyDay() }), {
    rate: 1.2,
  }),
  ...settings('Target', 'target', () => ({ period: anyDay().slice(0, 7), amount: 1000 }), { amount: 2000 }),
  listLookup: nothing,
  getLookup: async () => ({ params: { list: 'source' } }),
  createLookupItem: async () => ({ params: { list: 'source' }, body: { value: unique('fair'), label: 'Fair' } }),
  updateLookup: async () => ({ params: { list: 'source' }, body: { label: 'Where from' } }),
  deleteLookup: async ({ alice }) => {
    const list = unique('own')
    await alice.post(`/lookups/${list}`, { label: 'One' })
    return { params: { list } }
  },
  updateLookupItem: lookupItem({ label: 'Trade fair' }),
  deleteLookupItem: lookupItem(),
  listLookupActivities: async ({ alice }) => at((await alice.get('/lookups')).body.data[0].id),
  ...settings('View', 'view', () => ({ name: 'Mine', resource: 'deal' })),
  ...settings(
    'ScoringRule',
    'scoringRule',
    () => ({
      resource: 'contact',
      name: 'Decides',
      field: 'jobTitle',
      operator: 'contains',
      value: 'chief',
      points: 20,
    }),
    { points: 10 },
  ),
  getTenant: nothing,
  updateTenant: async () => ({ body: { timezone: 'Europe/Berlin' } }),
}

/** The calls for what sets the house up; a name of it is taken once. */
function settings(
  name: string,
  type: string,
  values: () => Record<string, unknown>,
  change: Record<string, unknown> = { name: unique('Others') },
): Record<string, Example> {
  const made =
    (body?: unknown): Example =>
    async ({ alice }) => ({ ...at((await alice.build(type, values())).id), ...(body ? { body } : {}) })
  return {
    [`list${name}`]: nothing,
    [`create${name}`]: async () => ({ body: values() }),
    [`get${name}`]: made(),
    [`update${name}`]: made(change),
    [`delete${name}`]: made(),
    [`list${name}Activities`]: made(),
  }
}

function lookupItem(body?: unknown): Example {
  return async ({ alice }) => {
    const made = await alice.post('/lookups/source', { value: unique('fair') })
    return { params: { list: 'source', item: made.body.id }, ...(body ? { body } : {}) }
  }
}

function customField(): Record<string, unknown> {
  return { resource: 'deal', key: unique('region'), label: 'Region', type: 'text' }
}

/** A day of a month that no other example has taken. */
function anyDay(): string {
  days += 32
  return new Date(Date.UTC(1990, 0, days)).toISOString().slice(0, 10)
}

let days = 0
