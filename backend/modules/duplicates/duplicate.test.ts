import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { mergeableOf } from '../../kernel/entity/define.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { backfill } from './backfill.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
})
afterAll(() => house.stop())

interface Found {
  score: number
  reasons: { field: string; kind: string; value?: string }[]
  records: { id: string; type: string; name: string }[]
}

/** A tenant of its own, so that nobody else's records make pairs. */
const founder = () => house.found('Own', `F${randomBytes(4).toString('hex')}`)

const pairsOf = async (who: Client, path: string, query = ''): Promise<Found[]> =>
  (await who.get(`/${path}/duplicates?limit=200${query}`)).body.data

/** The pair of two records, once it has been found. */
const pair = (who: Client, path: string, a: { id: string }, b: { id: string }): Promise<Found> =>
  eventually(
    async () => (await pairsOf(who, path)).find(({ records }) => records.every(({ id }) => id === a.id || id === b.id)),
    'the pair',
  )

/** Waits until the finder has come to what was written last. */
const settled = async (who: Client, path = 'contacts', type = 'contact') => {
  const name = `settle${randomBytes(4).toString('hex')}`
  const values = type === 'contact' ? { email: `${name}@example.com` } : { name }
  const [a, b] = [await who.build(type, values), await who.build(type, values)]
  await pair(who, path, a, b)
  await who.delete(`/${path}/${a.id}`)
  await who.delete(`/${path}/${b.id}`)
}

describe('what makes a pair', () => {
  const person = (values: Record<string, unknown>) => ({ firstName: null, lastName: null, ...values })

  test.each([
    ['an email in another case', { email: 'Ada@Example.com' }, { email: 'ada@example.COM' }, 'email', 'equal'],
    [
      'an email among the others',
      { email: 'ada@example.com' },
      { firstName: 'A', emails: ['ADA@example.com'] },
      'email',
      'equal',
    ],
    ['the dots of Gmail', { email: 'ada.love@gmail.com' }, { email: 'adalove+crm@googlemail.com' }, 'email', 'equal'],
    [
      'a phone with and without its country',
      { firstName: 'A', phone: '+44 (0)20 7946 0958' },
      { firstName: 'B', phone: '020 79460958 ext. 12' },
      'phone',
      'equal',
    ],
    [
      'a phone among the others',
      { firstName: 'A', phone: '0171 1234567' },
      { firstName: 'B', phones: ['+49 171 1234567'] },
      'phone',
      'equal',
    ],
    [
      'an equal name',
      { firstName: 'Ada', lastName: 'Lovelace' },
      { firstName: 'lovelace', lastName: 'ADA' },
      'name',
      'equal',
    ],
    ['accents', { firstName: 'José', lastName: 'Núñez' }, { firstName: 'Jose', lastName: 'Nunez' }, 'name', 'equal'],
    [
      'a slip of the pen',
      { firstName: 'Ada', lastName: 'Lovelace' },
      { firstName: 'Ada', lastName: 'Lovelcae' },
      'name',
      'similar',
    ],
    [
      'what sounds alike',
      { firstName: 'Hanna', lastName: 'Meyerhoff' },
      { firstName: 'Hannah', lastName: 'Maierhoff' },
      'name',
      'similar',
    ],
  ] as const)('of contacts: %s', async (_what, one, other, field, kind) => {
    const who = await founder()
    const [a, b] = [await who.build('contact', person(one)), await who.build('contact', person(other))]
    const found = await pair(who, 'contacts', a, b)
    expect(found.reasons).toEqual([expect.objectContaining({ field, kind })])
    expect(found.score).toBeGreaterThanOrEqual(40)
    expect(found.score).toBeLessThanOrEqual(100)
  })

  test.each([
    [
      'a domain',
      { name: 'Acme', domain: 'www.acme.example' },
      { name: 'Other', domain: 'ACME.example' },
      'domain',
      'equal',
    ],
    [
      'a website',
      { name: 'Acme', website: 'https://www.acme.example/about' },
      { name: 'Other', domain: 'acme.example' },
      'domain',
      'equal',
    ],
    [
      'a phone',
      { name: 'Acme', phone: '+1 212 555 0100' },
      { name: 'Acme Inc', phone: '(212) 555-0100' },
      'phone',
      'equal',
    ],
    ['the legal form', { name: 'Müller & Söhne GmbH & Co. KG' }, { name: 'Muller Sohne' }, 'name', 'equal'],
    ['letters with a stroke', { name: 'Guovdageaiŋŋu Áŧŧá AS' }, { name: 'Guovdageainnu Atta' }, 'name', 'equal'],
    ['the order of the words', { name: 'Engines, Analytical Ltd.' }, { name: 'Analytical Engines' }, 'name', 'equal'],
    ['a slip of the pen', { name: 'Analytical Engines' }, { name: 'Analitical Engines Inc.' }, 'name', 'similar'],
  ] as const)('of companies: %s', async (_what, one, other, field, kind) => {
    const who = await founder()
    const [a, b] = [await who.build('company', one), await who.build('company', other)]
    expect((await pair(who, 'companies', a, b)).reasons).toContainEqual(expect.objectContaining({ field, kind }))
  })

  test('of neither: colleagues, mailboxes of a provider, first names, names that differ', async () => {
    const who = await founder()
    await who.build('contact', { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@engines.example' })
    await who.build('contact', { firstName: 'Charles', lastName: 'Babbage', email: 'charles@engines.example' })
    await who.build('contact', { firstName: 'Grace', lastName: 'Hopper', email: 'grace@gmail.com' })
    await who.build('contact', { firstName: 'Emmy', lastName: 'Noether', email: 'emmy@gmail.com' })
    for (let count = 0; count < 2; count++) await who.build('contact', { firstName: 'Alan', lastName: null })
    await who.build('company', { name: 'Acme', domain: 'gmail.com' })
    await who.build('company', { name: 'Globex', website: 'https://gmail.com' })
    await settled(who)
    await settled(who, 'companies', 'company')
    expect(await pairsOf(who, 'contacts')).toEqual([])
    expect(await pairsOf(who, 'companies')).toEqual([])
  })

  test('more evidence is a higher score, and names that contradict it a lower one', async () => {
    const who = await founder()
    const values = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@engines.example', phone: '+44 20 7946 0958' }
    const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
    const c = await who.build('contact', { firstName: 'Joe', lastName: 'Public', phone: '020 7946 0958' })
    const whole = await pair(who, 'contacts', a, b)
    expect(whole.reasons.map(({ field, kind }) => [field, kind])).toEqual([
      ['email', 'equal'],
      ['phone', 'equal'],
      ['name', 'equal'],
    ])
    expect(whole.score).toBeGreaterThan(95)
    expect((await pair(who, 'contacts', a, c)).score).toBeLessThan(50)
  })

  test('what more than 20 share is none, until few enough do', async () => {
    const who = await founder()
    const made: string[] = []
    const operations = Array.from({ length: 21 }, (_none, n) => ({
      op: 'create',
      data: { firstName: `Person${n}`, phone: '+49 30 1234567' },
    }))
    for (const { id } of (await who.post('/contacts/bulk', { operations })).body.results) made.push(id)
    await settled(who)
    expect(await pairsOf(who, 'contacts')).toEqual([])
    await who.delete(`/contacts/${made.pop()}`)
    await eventually(async () => (await pairsOf(who, 'contacts')).length === 190, 'the pairs of twenty')
    await who.build('contact', { firstName: 'One', lastName: null, phone: '030 1234567' })
    await eventually(async () => (await pairsOf(who, 'contacts')).length === 0, 'too many again')
  })
})

test('a pair follows its records: changed, deleted, restored', async () => {
  const who = await founder()
  const values = { firstName: null, lastName: null, email: 'ada@example.com' }
  const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
  await pair(who, 'contacts', a, b)
  await who.patch(`/contacts/${b.id}`, { email: 'grace@example.com' })
  await eventually(async () => (await pairsOf(who, 'contacts')).length === 0, 'no pair')
  await who.patch(`/contacts/${b.id}`, { email: 'ada@example.com' })
  await pair(who, 'contacts', a, b)
  await who.delete(`/contacts/${b.id}`)
  expect(await pairsOf(who, 'contacts')).toEqual([])
  await who.post(`/contacts/${b.id}/restore`)
  await pair(who, 'contacts', a, b)
})

test('records that were there before anybody looked are gone through, and a second time nobody is', async () => {
  const who = await founder()
  const values = { firstName: null, lastName: null, email: 'before@example.com' }
  const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
  await pair(who, 'contacts', a, b)
  await asOwner(house.ownerUrl, async (owner) => {
    await owner.query('delete from match_keys where tenant_id = $1', [who.tenantId])
    await owner.query('delete from duplicate_pairs where tenant_id = $1', [who.tenantId])
    await owner.query('delete from match_progress')
  })
  expect(await pairsOf(who, 'contacts')).toEqual([])
  const nouns = mergeableOf(new Map([[contact.type, contact]]))
  const turn = { dryRun: false, signal: new AbortController().signal }
  const { records } = await backfill(house.app.database.db, nouns, { ...turn, dryRun: true })
  expect(records).toBeGreaterThan(1)
  expect(await backfill(house.app.database.db, nouns, turn)).toEqual({ records })
  expect(await backfill(house.app.database.db, nouns, { ...turn, dryRun: true })).toEqual({ records: 0 })
  expect(await backfill(house.app.database.db, nouns, turn)).toEqual({ records: 0 })
  expect(await pairsOf(who, 'contacts')).toHaveLength(1)
})

test('the list is sorted by score and walked by its cursor, each pair once', async () => {
  const who = await founder()
  for (let n = 0; n < 4; n++) {
    for (let twin = 0; twin < 2; twin++)
      await who.build('contact', {
        firstName: `Xaver${'abcd'[n]}`,
        lastName: 'Quux',
        email: `x${n}@engines${n}.example`,
      })
  }
  const all = await eventually(async () => {
    const pairs = await pairsOf(who, 'contacts', '&minScore=90')
    return pairs.length === 4 ? pairsOf(who, 'contacts') : undefined
  }, 'four pairs')
  const walked: Found[] = []
  let cursor = ''
  do {
    const { body } = await who.get(`/contacts/duplicates?limit=3${cursor}`)
    expect(body.data.length).toBeLessThanOrEqual(3)
    walked.push(...body.data)
    cursor = body.page.nextCursor ? `&cursor=${body.page.nextCursor}` : ''
  } while (cursor)
  expect(walked).toEqual(all)
  expect(walked.map(({ score }) => score)).toEqual(walked.map(({ score }) => score).sort((x, y) => y - x))
})

test('a pair that was dismissed does not come again', async () => {
  const who = await founder()
  const values = { firstName: null, lastName: null, email: 'info@example.com' }
  const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
  await pair(who, 'contacts', a, b)
  expect((await who.post('/contacts/duplicates/dismiss', { ids: [b.id, a.id] })).status).toBe(204)
  expect((await who.post('/contacts/duplicates/dismiss', { ids: [a.id, b.id] })).status).toBe(204)
  expect(await pairsOf(who, 'contacts')).toEqual([])
  expect((await who.get(`/contacts/${a.id}/duplicates`)).body.data).toEqual([])
  await who.patch(`/contacts/${b.id}`, { phone: '+49 30 1234567' })
  await who.patch(`/contacts/${a.id}`, { phone: '+49 30 1234567' })
  await settled(who)
  expect(await pairsOf(who, 'contacts')).toEqual([])
})

test('who dismissed a pair stands in both timelines, once, and may take it back', async () => {
  const who = await founder()
  const values = { firstName: null, lastName: null, email: 'desk@example.com' }
  const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
  await pair(who, 'contacts', a, b)
  const ids = [b.id, a.id]
  const say = (verb: string) => who.post(`/contacts/duplicates/${verb}`, { ids })
  for (const verb of ['dismiss', 'dismiss', 'undismiss', 'undismiss', 'dismiss'])
    expect([verb, (await say(verb)).status]).toEqual([verb, 204])
  const told = ['duplicate_dismissed', 'duplicate_undismissed', 'duplicate_dismissed']
  for (const { id, otherId } of [
    { id: a.id, otherId: b.id },
    { id: b.id, otherId: a.id },
  ]) {
    expect((await who.timeline('contact', id, 4)).slice(1)).toMatchObject(
      told.map((verb) => ({ action: 'updated', changes: [], metadata: { otherId, verb } })),
    )
    expect((await who.get(`/contacts/${id}`)).body.version).toBe(1)
  }
  const dismissed = await who.get('/contacts/duplicates?dismissed=true')
  expect(dismissed.body.data).toHaveLength(1)
  expect((await who.get(`/contacts/${a.id}/duplicates?dismissed=true`)).body.data).toHaveLength(1)
  await say('undismiss')
  await pair(who, 'contacts', a, b)
  expect((await who.get('/contacts/duplicates?dismissed=true')).body.data).toEqual([])
})

test('those of one record, and a look before a create', async () => {
  const who = await founder()
  const values = { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@example.com' }
  const [a, b] = [await who.build('contact', values), await who.build('contact', values)]
  await pair(who, 'contacts', a, b)
  const { body } = await who.get(`/contacts/${a.id}/duplicates`)
  expect(body.data.map(({ records }: Found) => records.map(({ id }) => id).sort())).toEqual([[a.id, b.id].sort()])
  const alike = await who.post('/contacts/duplicates/check', {
    email: 'ADA@example.com',
    lastName: 'Lovelace',
    firstName: 'Ada',
  })
  expect(alike.body.data.map(({ record }: { record: { id: string } }) => record.id).sort()).toEqual([a.id, b.id].sort())
  expect((await who.post('/contacts/duplicates/check', { email: 'nobody@example.com' })).body.data).toEqual([])
  expect((await who.post('/contacts/duplicates/check', { shoe: 1 })).status).toBe(400)
})

describe('who may', () => {
  const twins = async () => {
    const values = { firstName: null, lastName: null, email: `${randomBytes(4).toString('hex')}@example.com` }
    const [a, b] = [await alice.build('contact', values), await alice.build('contact', values)]
    await pair(alice, 'contacts', a, b)
    return [a, b] as const
  }

  test('strangers see nothing and dismiss nothing; a viewer sees', async () => {
    const [a, b] = await twins()
    const vera = await house.join('Vera', 'viewer')
    await pair(vera, 'contacts', a, b)
    expect(await pairsOf(house.charlie, 'contacts')).toEqual([])
    expect((await house.charlie.get(`/contacts/${a.id}/duplicates`)).status).toBe(404)
    expect((await house.nobody.get('/contacts/duplicates')).status).toBe(401)
    const dismissed = { ids: [a.id, b.id] }
    expect((await house.charlie.post('/contacts/duplicates/dismiss', dismissed)).body.errors[0].path).toBe('ids.0')
    expect((await vera.post('/contacts/duplicates/dismiss', dismissed)).status).toBe(403)
    expect((await house.bob.post('/contacts/duplicates/dismiss', dismissed)).status).toBe(403)
    expect((await house.nobody.post('/contacts/duplicates/dismiss', dismissed)).status).toBe(401)
    expect((await house.charlie.post('/contacts/duplicates/undismiss', dismissed)).body.errors[0].path).toBe('ids.0')
    expect((await vera.post('/contacts/duplicates/undismiss', dismissed)).status).toBe(403)
    await pair(alice, 'contacts', a, b)
  })

  test.each([{}, { ids: [] }, { ids: ['x', 'y'] }, { ids: ['0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90'] }, { ids: 'all' }])(
    'dismissing %j is 400',
    async (body) => expect((await alice.post('/contacts/duplicates/dismiss', body)).status).toBe(400),
  )

  test.each(['limit=0', 'cursor=x', 'minScore=101', 'minScore=x', 'sort=name'])('?%s is 400', async (query) =>
    expect((await alice.get(`/contacts/duplicates?${query}`)).status).toBe(400),
  )

  test('a cursor is of its list', async () => {
    const [a] = await twins()
    await twins()
    const { nextCursor } = (await alice.get('/contacts/duplicates?limit=1')).body.page
    expect((await alice.get(`/contacts/duplicates?limit=1&minScore=10&cursor=${nextCursor}`)).status).toBe(400)
    expect((await alice.post('/contacts/duplicates/dismiss', { ids: [a.id, a.id] })).body.errors[0].path).toBe('ids')
  })
})
