import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const under = (key: string) => ({ 'Idempotency-Key': key })
const isReplayed = (answer: { headers: Headers }) => answer.headers.get('idempotent-replayed') === 'true'
const countOf = async (name: string) => (await alice.get(`/deals?name=${name}&count=exact`)).body.page.total

test('the same key and body answers with the first answer', async () => {
  const first = await alice.post('/deals', { name: 'once' }, under('k1'))
  expect([first.status, isReplayed(first)]).toEqual([201, false])
  await alice.patch(`/deals/${first.body.id}`, { name: 'changed-since' })
  const again = await alice.post('/deals', { name: 'once' }, under('k1'))
  expect([again.status, isReplayed(again)]).toEqual([201, true])
  expect(again.body).toEqual(first.body)
  for (const header of ['etag', 'location', 'content-type'])
    expect([header, again.headers.get(header)]).toEqual([header, first.headers.get(header)])
  expect(await countOf('once')).toBe(0)
})

test('of a body is kept what nobody guesses a password by', async () => {
  const body = { name: 'Grace', email: 'grace.keyed@example.com', password: 'correct horse battery' }
  const made = [await alice.post('/users', body, under('secret')), await alice.post('/users', body, under('secret'))]
  expect(made.map(({ status }) => status)).toEqual([201, 201])
  const kept = await asOwner(house.ownerUrl, (owner) =>
    owner.query(
      `select encode(body_hash, 'hex') as hash, to_json(k)::text as text from idempotency_keys k where key = 'secret'`,
    ),
  )
  const bare = createHash('sha256').update(JSON.stringify(body)).digest('hex')
  expect(kept.rows).toHaveLength(1)
  expect(kept.rows[0].hash).not.toBe(bare)
  expect(kept.rows[0].text).not.toContain(body.password)
})

test('another body under the key is 422, whatever the first one came to', async () => {
  await alice.post('/deals', { name: 'k2' }, under('k2'))
  for (const body of [{ name: 'k2', value: 1 }, { name: 'other' }]) {
    const answer = await alice.post('/deals', body, under('k2'))
    expect([answer.status, answer.body.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
  }
  const deal = await alice.build('deal')
  await alice.post(`/deals/${deal.id}/lose`, { reason: 'price' }, under('k2'))
  const reused = await alice.post(`/deals/${deal.id}/lose`, { reason: 'time' }, under('k2'))
  expect([reused.status, reused.body.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
})

test('the scope of a key is tenant, actor, method and path', async () => {
  const first = await alice.post('/deals', { name: 'scoped' }, under('k3'))
  for (const answer of [
    await bob.post('/deals', { name: 'scoped' }, under('k3')),
    await house.charlie.post('/deals', { name: 'scoped' }, under('k3')),
    await alice.post('/companies', { name: 'scoped' }, under('k3')),
    await alice.post('/deals', { name: 'scoped' }, under('K3')),
  ]) {
    expect([answer.status, isReplayed(answer)]).toEqual([201, false])
    expect(answer.body.id).not.toBe(first.body.id)
  }
  expect(isReplayed(await alice.post('/deals', { name: 'scoped' }, under('k3')))).toBe(true)
})

test('several at once make one record', async () => {
  for (let round = 0; round < 5; round++) {
    const name = `race-${round}`
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => alice.post('/deals', { name }, under(`race-${round}`))),
    )
    const kinds = answers.map((answer) => (isReplayed(answer) ? 'replay' : answer.status))
    expect(kinds.filter((kind) => kind === 201)).toHaveLength(1)
    for (const kind of kinds) expect([201, 409, 'replay']).toContain(kind)
    expect(await countOf(name)).toBe(1)
  }
})

test('several verbs at once have one effect', async () => {
  const { id } = await alice.build('deal')
  const answers = await Promise.all(Array.from({ length: 4 }, () => alice.post(`/deals/${id}/win`, {}, under('win'))))
  const kinds = answers.map((answer) => (isReplayed(answer) ? 'replay' : answer.status))
  expect(kinds.filter((kind) => kind === 200)).toHaveLength(1)
  for (const kind of kinds) expect([200, 409, 'replay']).toContain(kind)
  expect((await alice.get(`/deals/${id}`)).body.version).toBe(2)
})

test('a verb replays its answer instead of refusing to be repeated', async () => {
  const { id } = await alice.build('task')
  const first = await alice.post(`/tasks/${id}/complete`, undefined, under('done'))
  const again = await alice.post(`/tasks/${id}/complete`, undefined, under('done'))
  expect([again.status, isReplayed(again), again.headers.get('etag')]).toEqual([200, true, '"2"'])
  expect(again.body).toEqual(first.body)
  expect((await alice.post(`/tasks/${id}/complete`)).status).toBe(422)
})

test('a bulk call replays all of its results', async () => {
  const operations = [
    { op: 'create', data: { name: 'bulk-key' } },
    { op: 'create', data: {} },
    { op: 'create', data: { name: 'bulk-key' } },
  ]
  const first = await alice.post('/deals/bulk', { operations }, under('bulk'))
  const again = await alice.post('/deals/bulk', { operations }, under('bulk'))
  expect([isReplayed(again), again.body]).toEqual([true, first.body])
  expect(await countOf('bulk-key')).toBe(2)
})

test('422 answers are kept, whole', async () => {
  const { id } = await alice.build('deal')
  await alice.post(`/deals/${id}/win`)
  const first = await alice.post(`/deals/${id}/win`, {}, under('kept'))
  expect([first.status, isReplayed(first)]).toEqual([422, false])
  await alice.post(`/deals/${id}/reopen`)
  const again = await alice.post(`/deals/${id}/win`, {}, under('kept'))
  expect([again.status, isReplayed(again)]).toEqual([422, true])
  expect({ ...again.body, requestId: '' }).toEqual({ ...first.body, requestId: '' })
  expect((await alice.get(`/deals/${id}`)).body.status).toBe('open')
})

test('422 of a rule in the database is kept too, with the index of the operation', async () => {
  const top = await alice.build('company')
  const below = await alice.build('company', { parentId: top.id })
  const body = {
    atomic: true,
    operations: [
      { op: 'create', data: { name: 'rolled back' } },
      { op: 'update', id: top.id, data: { parentId: below.id } },
    ],
  }
  const first = await alice.post('/companies/bulk', body, under('cycle'))
  expect([first.status, first.body.code, first.body.index]).toEqual([422, 'PARENT_CYCLE', 1])
  await alice.patch(`/companies/${below.id}`, { parentId: null })
  const again = await alice.post('/companies/bulk', body, under('cycle'))
  expect(isReplayed(again)).toBe(true)
  expect({ ...again.body, requestId: '' }).toEqual({ ...first.body, requestId: '' })
})

test('other 4xx answers are not kept', async () => {
  expect((await alice.post('/deals', { name: '' }, under('free'))).status).toBe(400)
  expect((await alice.post('/deals', { name: 'free' }, under('free'))).status).toBe(201)
  await alice.build('company', { externalId: 'taken' })
  const taken = { name: 'x', externalId: 'taken' }
  expect((await alice.post('/companies', taken, under('free'))).status).toBe(409)
  const { data } = (await alice.get('/companies?externalId=taken')).body
  await alice.delete(`/companies/${data[0].id}`)
  const made = await alice.post('/companies', taken, under('free'))
  expect([made.status, isReplayed(made)]).toEqual([201, false])
  const nowhere = `/deals/${alice.userId}/win`
  expect((await alice.post(nowhere, {}, under('free'))).status).toBe(404)
  expect((await alice.post(nowhere, {}, under('free'))).status).toBe(404)
})

test('a key that is none is 400', async () => {
  for (const key of ['a b', 'a'.repeat(256), 'ä'])
    for (const path of ['/deals', `/deals/${alice.userId}/win`]) {
      const answer = await alice.post(path, { name: 'x' }, under(key)).catch(() => undefined)
      if (answer) expect([key, answer.status]).toEqual([key, 400])
    }
  expect((await alice.post('/deals', { name: 'x' }, under('!~'.repeat(100)))).status).toBe(201)
})

test('the kept answers belong to their tenant, and hold the first answer only', async () => {
  await alice.post('/deals', { name: 'looked-at' }, under('look'))
  const rows = await asOwner(house.ownerUrl, async (client) => {
    const result = await client.query("select tenant_id, status from idempotency_keys where key = 'look'")
    return result.rows
  })
  expect(rows).toEqual([{ tenant_id: alice.tenantId, status: 201 }])
})
