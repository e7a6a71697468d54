import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

const bulk = (path: string, operations: unknown, atomic?: unknown, as: Client = alice) =>
  as.post(`/${path}/bulk`, { operations, ...(atomic === undefined ? {} : { atomic }) })

test('each operation has its result, in order', async () => {
  const [old, stale, gone] = await Promise.all([alice.build('note'), alice.build('note'), alice.build('note')])
  const { status, body } = await bulk('notes', [
    { op: 'create', data: { body: 'new', tags: ['bulk'] } },
    { op: 'create', data: { body: '' } },
    { op: 'update', id: old.id, version: 1, data: { body: 'changed' } },
    { op: 'update', id: stale.id, version: 7, data: { body: 'changed' } },
    { op: 'delete', id: gone.id },
    { op: 'delete', id: gone.id },
    { op: 'update', id: 'no id', data: {} },
    { op: 'upsert', data: {} },
    { op: 'create' },
    'nonsense',
    null,
  ])
  expect(status).toBe(200)
  expect(body.results.map((result: { status: number }) => result.status)).toEqual([
    201, 400, 200, 412, 204, 404, 400, 400, 400, 400, 400,
  ])
  expect(body.results[0]).toMatchObject({ id: body.results[0].record.id, record: { body: 'new', version: 1 } })
  expect(body.results[1].problem).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ path: 'body' }] })
  expect(body.results[2].record).toMatchObject({ id: old.id, body: 'changed', version: 2 })
  expect(body.results[3].problem.code).toBe('PRECONDITION_FAILED')
  expect(body.results[4]).toEqual({ status: 204, id: gone.id })
  expect((await alice.get(`/notes/${stale.id}`)).body.version).toBe(1)
  expect((await alice.get('/notes?tags=bulk')).body.data).toHaveLength(1)
})

test('later operations see what earlier ones did', async () => {
  const { id } = await alice.build('company')
  const { body } = await bulk('companies', [
    { op: 'update', id, version: 1, data: { name: 'two' } },
    { op: 'update', id, version: 2, data: { name: 'three' } },
    { op: 'create', data: { name: 'a', externalId: 'twice' } },
    { op: 'create', data: { name: 'b', externalId: 'twice' } },
  ])
  expect(body.results.map((result: { status: number }) => result.status)).toEqual([200, 200, 201, 409])
})

test('atomic: the first failure is the answer, and nothing has changed', async () => {
  const { id } = await alice.build('task', { title: 'before' })
  const good = [
    { op: 'create', data: { title: 'atomic' } },
    { op: 'update', id, data: { title: 'after' } },
  ]
  for (const [bad, status, code] of [
    [{ op: 'create', data: {} }, 400, 'VALIDATION_FAILED'],
    [{ op: 'delete', id: alice.userId }, 404, 'NOT_FOUND'],
    [{ op: 'update', id, version: 9, data: {} }, 412, 'PRECONDITION_FAILED'],
  ]) {
    const answer = await bulk('tasks', [...good, bad, ...good], true)
    expect([answer.status, answer.body.code, answer.body.index]).toEqual([status, code, 2])
  }
  expect((await alice.get(`/tasks/${id}`)).body).toMatchObject({ title: 'before', version: 1 })
  expect((await alice.get('/tasks?title=atomic')).body.data).toEqual([])
  const { body } = await bulk('tasks', good, true)
  expect(body.results.map((result: { status: number }) => result.status)).toEqual([201, 200])
})

test('takes 1 to 1,000 operations', async () => {
  const operations = Array.from({ length: 1_000 }, (_none, index) => ({
    op: 'create',
    data: { body: `Note ${index}` },
  }))
  const { body } = await bulk('notes', operations)
  expect(body.results.every((result: { status: number }) => result.status === 201)).toBe(true)
  expect(body.results.map((result: { record: { body: string } }) => result.record.body)).toEqual(
    operations.map((operation) => operation.data.body),
  )
  for (const wrong of [[...operations, operations[0]], [], {}, 'x', undefined]) {
    const answer = await bulk('notes', wrong)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, 'operations'])
  }
  for (const atomic of ['true', 1, null]) expect((await bulk('notes', operations.slice(0, 1), atomic)).status).toBe(400)
})

test('each operation is asked for its right', async () => {
  const [mine, his] = [await alice.build('company'), await house.bob.build('company')]
  const operations = [mine, his].map(({ id }) => ({ op: 'update', id, data: { name: 'Bob was here' } }))
  const { body } = await bulk('companies', operations, false, house.bob)
  expect(body.results.map((result: { status: number }) => result.status)).toEqual([403, 200])
  const { body: foreign } = await bulk('companies', operations, false, house.charlie)
  expect(foreign.results.map((result: { status: number }) => result.status)).toEqual([404, 404])
  const vera = await house.join('Vera', 'viewer')
  const { body: seen } = await bulk('companies', [{ op: 'create', data: { name: 'x' } }], false, vera)
  expect(seen.results[0]).toMatchObject({ status: 403, problem: { code: 'FORBIDDEN' } })
})

test('its events go the bulk lane, under one operation', async () => {
  const { body } = await bulk('deals', [
    { op: 'create', data: { name: 'one' } },
    { op: 'create', data: { name: 'two' } },
  ])
  const ids = body.results.map((result: { id: string }) => result.id)
  const rows = await asOwner(house.ownerUrl, async (client) => {
    const result = await client.query('select lane, operation_id from events where record_id = any($1)', [ids])
    return result.rows
  })
  expect(rows.map((row) => row.lane)).toEqual([1, 1])
  expect(new Set(rows.map((row) => row.operation_id)).size).toBe(1)
})
