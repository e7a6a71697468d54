import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

/** A deal of which nobody has said what it is worth. */
const open = async () => (await alice.build('deal', { value: null })).id
const dealOf = async (id: string) => (await alice.get(`/deals/${id}`)).body
const add = async (id: string, line: Record<string, unknown>) => {
  const answer = await alice.post(`/deals/${id}/line-items`, line)
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body
}

describe('a line', () => {
  test('takes name and price from its product, and stands at the end', async () => {
    const product = await alice.build('product', { name: 'GTX Pro', price: 4821 })
    const id = await open()
    const first = await alice.post(`/deals/${id}/line-items`, { productId: product.id })
    expect(first.body).toMatchObject({
      name: 'GTX Pro',
      unitPrice: 4821,
      quantity: 1,
      total: 4821,
      currency: 'USD',
      version: 1,
    })
    const location = String(first.headers.get('location')).slice('/api/v1'.length)
    expect((await alice.get(location)).body).toEqual(first.body)
    expect((await alice.get(location, { 'If-None-Match': '"1"' })).status).toBe(304)
    await add(id, { productId: product.id, name: 'GTX, used', unitPrice: 100, quantity: 3, taxPercent: 19 })
    const { data, totals } = (await alice.get(`/deals/${id}/line-items`)).body
    expect(data.map(({ name, position }: Record<string, unknown>) => [name, position])).toEqual([
      ['GTX Pro', 1],
      ['GTX, used', 2],
    ])
    expect(totals).toEqual({ net: 5121, tax: 57, gross: 5178 })
  })

  test.each([
    [{ quantity: 3, unitPrice: 0.1 }, 0.3, 0],
    [{ quantity: 1.5, unitPrice: 0.0001 }, 0.0002, 0],
    [{ quantity: 2, unitPrice: 99.99, discountPercent: 12.5, taxPercent: 19 }, 174.9825, 33.2467],
    [{ quantity: 2, unitPrice: 10, discountAmount: 0.05 }, 19.95, 0],
    [{ quantity: 1, unitPrice: -20, taxPercent: 7.7 }, -20, -1.54],
    [{ quantity: 1000000, unitPrice: 99999.9999 }, 99999999900, 0],
    [{ quantity: 1, unitPrice: 5, discountPercent: 100 }, 0, 0],
  ])('%j comes to %d and a tax of %d, exactly', async (line, total, tax) => {
    expect(await add(await open(), { name: 'x', ...line })).toMatchObject({ total, tax })
  })

  test.each([
    [{}, 'name'],
    [{ name: 'x' }, 'unitPrice'],
    [{ name: ' ', unitPrice: 1 }, 'name'],
    [{ name: 'x', unitPrice: 0.00001 }, 'unitPrice'],
    [{ name: 'x', unitPrice: 1, quantity: 0 }, 'quantity'],
    [{ name: 'x', unitPrice: 1, discountPercent: 101 }, 'discountPercent'],
    [{ name: 'x', unitPrice: 1, discountAmount: 1.5 }, 'discountAmount'],
    [{ name: 'x', unitPrice: 1, discountAmount: 1, discountPercent: 1 }, 'discountAmount'],
    [{ name: 'x', unitPrice: 1, taxPercent: -1 }, 'taxPercent'],
    [{ name: 'x', unitPrice: 1, total: 1 }, 'total'],
    [{ productId: crypto.randomUUID() }, 'productId'],
    [{ productId: 'x' }, 'productId'],
  ])('%j is 400, and nothing has changed', async (line, path) => {
    const id = await open()
    const answer = await alice.post(`/deals/${id}/line-items`, line)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
    expect((await dealOf(id)).version).toBe(1)
    expect((await alice.get(`/deals/${id}/line-items`)).body.data).toEqual([])
  })

  test('is in the currency of its deal', async () => {
    const euro = await alice.build('product', { price: 7, currency: 'EUR' })
    const id = await open()
    for (const line of [{ productId: euro.id }, { name: 'x', unitPrice: 1, currency: 'EUR' }]) {
      const answer = await alice.post(`/deals/${id}/line-items`, line)
      expect([answer.status, answer.body.code]).toEqual([422, 'CURRENCY_MISMATCH'])
    }
    await add(id, { productId: euro.id, unitPrice: 8, currency: 'USD' })
    const { id: abroad } = await alice.build('deal', { value: null, currency: 'EUR' })
    expect(await add(abroad, { productId: euro.id })).toMatchObject({ unitPrice: 7, currency: 'EUR' })
  })

  test('comes to no more than a deal can hold', async () => {
    const id = await open()
    const answer = await alice.post(`/deals/${id}/line-items`, {
      name: 'x',
      unitPrice: 99_999_999_999,
      quantity: 99_999_999_999,
    })
    expect([answer.status, answer.body.code]).toEqual([422, 'VALUE_TOO_LARGE'])
  })

  test('changes by what is sent; one kind of discount takes the place of the other', async () => {
    const id = await open()
    const made = await add(id, { name: 'x', unitPrice: 10, quantity: 4, discountPercent: 50 })
    const path = `/deals/${id}/line-items/${made.id}`
    const changed = await alice.patch(
      path,
      { ...made, discountAmount: 4, discountPercent: null },
      { 'If-Match': '"1"' },
    )
    expect(changed.body).toMatchObject({ discountPercent: null, discountAmount: 4, total: 36, version: 2 })
    expect((await alice.patch(path, { discountPercent: 25 })).body).toMatchObject({ discountAmount: null, total: 30 })
    expect((await alice.patch(path, { quantity: 4 })).body.version).toBe(3)
    expect((await alice.patch(path, { quantity: 5 }, { 'If-Match': '"1"' })).status).toBe(412)
    for (const [wrong, member] of [
      [{ total: 1 }, 'total'],
      [{ name: null }, 'name'],
      [{ dealId: id }, 'dealId'],
    ] as const) {
      const answer = await alice.patch(path, wrong)
      expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, member])
    }
    expect((await dealOf(id)).version).toBe(4)
  })
})

describe('the value of a deal', () => {
  test('follows its lines until it is set, and again when it is given back', async () => {
    const id = await open()
    expect(await dealOf(id)).toMatchObject({ value: null, valueSource: 'lines', linesTotal: null })
    const engine = await add(id, { name: 'Engine', unitPrice: 1000 })
    await add(id, { name: 'Spares', unitPrice: 0.5, quantity: 3 })
    const following = await dealOf(id)
    expect(following).toMatchObject({
      value: 1001.5,
      valueSource: 'lines',
      linesTotal: 1001.5,
      weightedValue: 100.15,
      version: 3,
    })
    expect((await alice.put(`/deals/${id}`, following)).body).toMatchObject({ version: 3, valueSource: 'lines' })
    expect((await alice.patch(`/deals/${id}`, { value: null })).body.version).toBe(3)

    const set = (await alice.patch(`/deals/${id}`, { value: 900 })).body
    expect(set).toMatchObject({ value: 900, valueSource: 'manual', linesTotal: 1001.5 })
    await alice.patch(`/deals/${id}/line-items/${engine.id}`, { quantity: 2 })
    expect(await dealOf(id)).toMatchObject({ value: 900, linesTotal: 2001.5, version: 5 })
    const back = (await alice.patch(`/deals/${id}`, { value: null })).body
    expect(back).toMatchObject({ value: 2001.5, valueSource: 'lines', version: 6 })
    expect((await alice.get(`/deals?value[gte]=2001.5&value[lt]=2002`)).body.data).toEqual([back])
    for (const { id: line } of (await alice.get(`/deals/${id}/line-items`)).body.data)
      expect((await alice.delete(`/deals/${id}/line-items/${line}`)).status).toBe(204)
    expect(await dealOf(id)).toMatchObject({ value: null, linesTotal: null, version: 8 })
  })

  test('that was said at the beginning stays what was said', async () => {
    const { id } = await alice.build('deal', { value: 50 })
    await add(id, { name: 'Engine', unitPrice: 1000 })
    expect(await dealOf(id)).toMatchObject({ value: 50, valueSource: 'manual', linesTotal: 1000 })
    expect((await alice.patch(`/deals/${id}`, { valueSource: 'lines' })).status).toBe(400)
  })

  test('counts every line of many at once', async () => {
    const id = await open()
    const made = await Promise.all(
      Array.from({ length: 8 }, (_none, n) => add(id, { name: `${n}`, unitPrice: n + 0.1 })),
    )
    expect(await dealOf(id)).toMatchObject({ value: 28.8, version: 9 })
    await Promise.all([
      ...made.slice(0, 4).map((line) => alice.delete(`/deals/${id}/line-items/${line.id}`)),
      ...made.slice(4).map((line) => alice.patch(`/deals/${id}/line-items/${line.id}`, { quantity: 2 })),
    ])
    expect(await dealOf(id)).toMatchObject({ value: 44.8, version: 17 })
  })

  test('and its lines are told in the timeline of the deal', async () => {
    const id = await open()
    const line = await add(id, { name: 'Engine', unitPrice: 10 })
    await alice.patch(`/deals/${id}/line-items/${line.id}`, { name: 'Motor' })
    await alice.delete(`/deals/${id}/line-items/${line.id}`)
    const told = await alice.timeline('deal', id, 4)
    expect(told.map(({ description }) => description).slice(1)).toEqual([
      'Alice added a line to the deal “200 engines”',
      'Alice changed a line of the deal “200 engines”',
      'Alice took a line out of the deal “200 engines”',
    ])
    expect(told[1]?.changes).toEqual(
      expect.arrayContaining([
        { field: 'value', oldValue: null, newValue: 10 },
        { field: 'lineItems', oldValue: null, newValue: line },
      ]),
    )
    expect(told[2]?.changes).toEqual([
      { field: 'lineItems', oldValue: line, newValue: expect.objectContaining({ name: 'Motor', version: 2 }) },
    ])
  })

  test('under a key, a line is added once', async () => {
    const id = await open()
    const key = { 'Idempotency-Key': crypto.randomUUID() }
    const line = { name: 'Engine', unitPrice: 10 }
    const [first, again] = [1, 2].map(() => alice.post(`/deals/${id}/line-items`, line, key))
    await Promise.allSettled([first, again])
    const third = await alice.post(`/deals/${id}/line-items`, line, key)
    expect([third.status, (await dealOf(id)).value]).toEqual([201, 10])
  })
})

test('the lines are those of who may have the deal', async () => {
  const id = await open()
  const line = await add(id, { name: 'Engine', unitPrice: 10 })
  const all = `/deals/${id}/line-items`
  const one = `${all}/${line.id}`
  for (const [who, reads, writes] of [
    [house.nobody, 401, 401],
    [house.charlie, 404, 404],
    [house.bob, 200, 403],
  ] as const) {
    expect([(await who.get(all)).status, (await who.get(one)).status]).toEqual([reads, reads])
    expect((await who.post(all, { name: 'x', unitPrice: 1 })).status).toBe(writes)
    expect((await who.patch(one, { quantity: 2 })).status).toBe(writes)
    expect((await who.delete(one)).status).toBe(writes)
  }
  const other = await open()
  expect((await alice.patch(`/deals/${other}/line-items/${line.id}`, { quantity: 2 })).status).toBe(404)
  const theirs = await house.charlie.build('product')
  expect((await alice.post(all, { productId: theirs.id })).status).toBe(400)
  await alice.delete(`/deals/${id}`)
  expect((await alice.get(all)).status).toBe(404)
  await alice.post(`/deals/${id}/restore`)
  expect((await alice.get(all)).body.data).toEqual([line])
})
