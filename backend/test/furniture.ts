import type { TestApp } from './app.ts'
import { importTable } from './tables.ts'

/** Words that stand in nothing but Alice's furniture. */
export const marks = { records: 'Xanadu', settings: 'Quokka', amount: '7654321' } as const

/** Puts into Alice's house some of everything that lists, searches and sums could tell of. */
export async function furnish({ alice, bob }: TestApp): Promise<void> {
  const name = `Ada engines ${marks.records}`
  const person = { lastName: name, email: 'ada@example.com' }
  const expectedCloseDate = new Date().toISOString().slice(0, 10)
  const records: [string, Record<string, unknown>][] = [
    ['contact', person],
    ['contact', person],
    ['lead', person],
    ['lead', person],
    ['company', { name }],
    ['company', { name }],
    ['deal', { name, value: Number(marks.amount), expectedCloseDate }],
    ['task', { title: name }],
    ['note', { body: name }],
    ['interaction', { subject: name }],
    ['product', { name }],
    ['customField', { label: marks.settings }],
    ...['pipeline', 'tag', 'team', 'role', 'view', 'scoringRule'].map((type): [string, Record<string, unknown>] => [
      type,
      { name: marks.settings },
    ]),
    ['exchangeRate', {}],
    ['target', {}],
  ]
  for (const [type, values] of records) await alice.build(type, values)
  // Of this she is told.
  await bob.build('deal', { name, ownerId: alice.userId })
  const program = { name: marks.settings, scopes: ['contact:read'] }
  await alice.post('/api-keys', program)
  await alice.post('/service-accounts', program)
  await alice.post('/invitations', { name: marks.settings, email: 'grace@example.com' })
  await alice.post('/lookups/source', { value: marks.settings })
  await importTable(alice, 'firstName\nAda\n', { resource: 'contacts' }, `${marks.settings}.csv`)
  await alice.post('/exports', { resource: 'contacts', format: 'csv', filters: { lastName: name } })
}
