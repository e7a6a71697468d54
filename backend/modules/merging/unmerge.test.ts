import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
  for (const resource of ['contact', 'company'])
    await alice.build('customField', { resource, key: 'region', label: 'Region', type: 'text' })
})
afterAll(() => house.stop())

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const some = (max: number, most: number) => fc.uniqueArray(fc.nat(max), { maxLength: most })
const tags = fc.uniqueArray(fc.constantFrom('vip', 'Vip', 'new', 'old'), { maxLength: 3 })
const customFields = fc.constantFrom({}, { region: 'EMEA' }, { region: 'APAC' })

const person = fc.record({
  firstName: maybe(fc.constantFrom('Ada', 'Grace')),
  lastName: fc.constantFrom('Lovelace', 'Hopper'),
  email: maybe(fc.constantFrom('ada@example.com', 'ADA@example.com', 'grace@example.com')),
  emails: fc.uniqueArray(fc.constantFrom('ada@example.com', 'x@example.com', 'y@example.com'), { maxLength: 2 }),
  phone: maybe(fc.constantFrom('1234567', '7654321')),
  address: maybe(fc.constantFrom({ city: 'London' }, { city: 'Turin', country: 'Italy' })),
  birthday: maybe(fc.constantFrom('1815-12-10', '1906-12-09')),
  stage: fc.constantFrom('prospect', 'customer'),
  doNotContact: fc.boolean(),
  leadScore: maybe(fc.nat(100)),
  companyId: maybe(fc.nat(3)),
  withKey: fc.boolean(),
  tags,
  customFields,
})

const firm = fc.record({
  name: fc.constantFrom('Acme', 'Globex'),
  annualRevenue: maybe(fc.integer({ min: 1, max: 1e6 }).map((cents) => cents / 100)),
  currency: fc.constantFrom('USD', 'EUR'),
  employees: maybe(fc.nat(1000)),
  parentId: maybe(fc.nat(3)),
  withKey: fc.boolean(),
  tags,
  customFields,
})

const world = fc.record({
  companies: fc.array(firm, { minLength: 4, maxLength: 4 }),
  contacts: fc.array(person, { minLength: 4, maxLength: 4 }),
  deals: fc.array(fc.record({ companyId: maybe(fc.nat(3)), contactIds: some(3, 4) }), { minLength: 2, maxLength: 2 }),
  notes: fc.array(fc.record({ contacts: some(3, 3), companies: some(3, 3) }), { minLength: 2, maxLength: 2 }),
  merges: fc.array(
    fc.record({
      path: fc.constantFrom('contacts', 'companies'),
      survivor: fc.nat(3),
      others: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 3 }),
      take: fc.dictionary(fc.constantFrom('tags', 'ownerId', 'customFields.region'), fc.nat(3), { maxKeys: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
})

type World = typeof world extends fc.Arbitrary<infer T> ? T : never
type Path = 'contacts' | 'companies' | 'deals' | 'notes'
type Ids = Record<Path, string[]>

test('any merges that are taken back, the last one first, leave every record as it was', async () => {
  await fc.assert(
    fc.asyncProperty(world, async (plan) => {
      const ids = await made(plan)
      const before = await everything(ids)
      const done: string[] = []
      for (const merge of plan.merges) {
        const [survivor, ...others] = ([merge.survivor, ...merge.others] as number[]).map(
          (n) => ids[merge.path][n] ?? '',
        )
        const fromIds = others.filter((id) => id !== survivor)
        const take = Object.fromEntries(
          Object.entries(merge.take).flatMap(([member, n]) => {
            const of = ids[merge.path][n] ?? ''
            return [survivor, ...fromIds].includes(of) ? [[member, of]] : []
          }),
        )
        const answer = await alice.post(`/${merge.path}/${survivor}/merge`, { fromIds, take })
        // What an earlier one has merged already is refused.
        expect([200, 307, 400]).toContain(answer.status)
        if (answer.status === 200) done.push(`/${merge.path}/${survivor}/unmerge`)
      }
      for (const path of done.toReversed()) {
        const { body } = await alice.post(path)
        expect([body.unmerged?.kept, body.unmerged?.left]).toEqual([[], []])
      }
      expect(await everything(ids)).toEqual(before)
      for (const list of ['deals', 'notes', 'contacts', 'companies'] as const)
        for (const id of ids[list]) await alice.delete(`/${list}/${id}`)
    }),
    { numRuns: 12, endOnFailure: true },
  )
}, 120_000)

/** Makes the records of a plan, each kind in a call. */
async function made(plan: World): Promise<Ids> {
  const create = async (path: Path, values: object[]): Promise<string[]> => {
    const operations = values.map((data) => ({ op: 'create', data }))
    const { results } = (await alice.post(`/${path}/bulk`, { operations })).body
    return results.map(({ id }: { id: string }) => id)
  }
  const keyed = (withKey: boolean) => (withKey ? { externalId: crypto.randomUUID() } : {})
  const companies = await create(
    'companies',
    plan.companies.map(({ parentId: _later, withKey, ...values }) => ({ ...values, ...keyed(withKey) })),
  )
  // Only upwards in the list, so that none stands below itself.
  for (const [n, { parentId }] of plan.companies.entries())
    if (parentId !== null && parentId < n)
      await alice.patch(`/companies/${companies[n]}`, { parentId: companies[parentId] })
  const companyOf = (n: number | null) => (n === null ? null : companies[n])
  const contacts = await create(
    'contacts',
    plan.contacts.map(({ companyId, withKey, ...values }) => ({
      ...values,
      ...keyed(withKey),
      companyId: companyOf(companyId),
    })),
  )
  const deals = await create(
    'deals',
    plan.deals.map(({ companyId, contactIds }) => ({
      name: 'Deal',
      companyId: companyOf(companyId),
      contactIds: contactIds.map((n) => contacts[n]),
    })),
  )
  const notes = await create(
    'notes',
    plan.notes.map((note) => ({
      body: 'Note',
      related: [
        ...note.contacts.map((n) => ({ type: 'contact', id: contacts[n] })),
        ...note.companies.map((n) => ({ type: 'company', id: companies[n] })),
      ],
    })),
  )
  return { companies, contacts, deals, notes }
}

/** All records with what filters find of them, but for what every change moves. */
async function everything(ids: Ids): Promise<unknown> {
  const shown: unknown[] = []
  for (const path of ['companies', 'contacts', 'deals', 'notes'] as const)
    for (const id of ids[path]) {
      const { status, body } = await alice.get(`/${path}/${id}`)
      const { version, updatedAt, ...record } = body
      expect([status, typeof version, typeof updatedAt]).toEqual([200, 'number', 'string'])
      shown.push(record)
    }
  const found: string[] = []
  for (const [filter, all] of [
    ['contactIds', ids.contacts],
    ['companyId', ids.companies],
  ] as const)
    for (const id of all)
      found.push(...idsOf((await alice.get(`/deals?${filter}=${id}&limit=200`)).body.data, `${filter} ${id}`))
  for (const id of [...ids.contacts, ...ids.companies])
    found.push(...idsOf((await alice.get(`/notes?related=${id}&limit=200`)).body.data, id))
  return { shown, found: found.sort() }
}

const idsOf = (data: { id: string }[], what: string): string[] => data.map(({ id }) => `${what} ${id}`)
