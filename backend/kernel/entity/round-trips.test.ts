import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
/** How often the application's connections waited for the database: a Sync, or a query of the simple protocol. */
let trips = 0

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
  const counted = new WeakSet<pg.PoolClient>()
  house.app.database.db.app.on('acquire', (client) => {
    if (counted.has(client)) return
    counted.add(client)
    count(client, 'sync')
    count(client, 'query')
  })
})
afterAll(() => house.stop())

/** Counts the calls of a method of the connection that is beneath a client. */
function count(client: pg.PoolClient, method: 'sync' | 'query'): void {
  const { connection } = client as unknown as { connection: Record<string, (...values: unknown[]) => unknown> }
  const original = connection[method]
  if (!original) throw new Error(`pg has no ${method} any more`)
  connection[method] = (...values) => {
    trips += 1
    return original.apply(connection, values)
  }
}

/** The fewest trips of three calls: what others do may have emptied a cache before one of them. */
async function cost(call: () => Promise<Answer>, status: number): Promise<number> {
  const costs: number[] = []
  for (let round = 0; round < 3; round++) {
    const before = trips
    const answer = await call()
    costs.push(trips - before)
    expect([answer.status, answer.body.code]).toEqual([status, undefined])
  }
  return Math.min(...costs)
}

test('the counter counts', async () => {
  const { id } = await alice.build('deal')
  expect(await cost(() => alice.get(`/deals/${id}?include=owner`), 200)).toBe(2)
  const transaction = () => alice.post('/contacts/bulk', { operations: [{ op: 'create', data: { firstName: 'Ada' } }] })
  expect(await cost(transaction, 200)).toBeGreaterThan(3)
})

const references = async () => {
  const [contact, company, deal] = [
    await alice.build('contact'),
    await alice.build('company'),
    await alice.build('deal'),
  ]
  const related = [
    { type: 'contact', id: contact.id },
    { type: 'deal', id: deal.id },
  ]
  return {
    contacts: {
      firstName: 'Ada',
      email: 'ada@example.com',
      companyId: company.id,
      ownerId: house.bob.userId,
      tags: ['vip', 'new'],
    },
    companies: { name: 'Engines', parentId: company.id, ownerId: house.bob.userId, annualRevenue: 12.5, tags: ['vip'] },
    deals: {
      name: 'Ten',
      value: 10,
      companyId: company.id,
      contactIds: [contact.id],
      ownerId: house.bob.userId,
      tags: ['vip'],
      customFields: { region: 'EMEA' },
    },
    tasks: { title: 'Call', assigneeIds: [alice.userId, house.bob.userId], related, tags: ['vip'] },
    notes: { body: 'Hello', related, tags: ['vip'] },
  }
}

test.each(['contacts', 'companies', 'deals', 'tasks', 'notes'] as const)(
  'each write and read of %s is one round trip',
  async (path) => {
    if (path === 'deals') await alice.build('customField', { key: 'region' })
    const values = (await references())[path]
    const made: string[] = []
    const create = async (headers: Record<string, string>) => {
      const answer = await alice.post(`/${path}`, values, headers)
      made.push(answer.body.id)
      return answer
    }
    expect(await cost(() => create({}), 201)).toBe(1)
    expect(await cost(() => create({ 'Idempotency-Key': randomUUID() }), 201)).toBe(1)
    const key = randomUUID()
    expect(await cost(() => create({ 'Idempotency-Key': key }), 201)).toBe(1)

    const [id = ''] = made
    const others = { ...values, tags: ['other'] }
    let version = 1
    const turn = () => alice.patch(`/${path}/${id}`, version++ % 2 ? others : values)
    expect(await cost(turn, 200)).toBe(1)
    const read = await alice.get(`/${path}/${id}`)
    expect(
      await cost(() => alice.patch(`/${path}/${id}`, read.body, { 'If-Match': read.headers.get('etag') ?? '' }), 200),
    ).toBe(1)
    expect(await cost(() => alice.put(`/${path}/${id}`, values), 200)).toBe(1)
    expect(await cost(() => alice.get(`/${path}/${id}`), 200)).toBe(1)
    expect(await cost(() => alice.get(`/${path}?limit=200&sort=-updatedAt`), 200)).toBe(1)

    const doomed = [...new Set(made)]
    expect(await cost(() => alice.delete(`/${path}/${doomed.pop()}`), 204)).toBe(1)
  },
)
