import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

test('a product has a price in a currency, the tenant’s unless it says another', async () => {
  const { alice } = house
  const made = await alice.build('product', { name: 'GTX Pro', sku: 'GTX-1', price: 4821.0625, tags: ['hardware'] })
  expect(made).toMatchObject({ price: 4821.0625, currency: 'USD', active: true, description: null, tags: ['hardware'] })
  expect(await alice.build('product', { currency: 'EUR', price: null })).toMatchObject({ currency: 'EUR', price: null })
  for (const [wrong, path] of [
    [{ price: 0.00001 }, 'price'],
    [{ price: -1 }, 'price'],
    [{ currency: 'euro' }, 'currency'],
    [{ active: 'yes' }, 'active'],
    [{ name: null }, 'name'],
    [{ colour: 'red' }, 'colour'],
  ] as const) {
    const answer = await alice.post('/products', { name: 'x', ...wrong })
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  }
})

test('products are listed by what they are, and found by name and article number', async () => {
  const nina = await house.found('Shop', 'Nina')
  await nina.build('customField', { resource: 'product', key: 'weight', label: 'Weight', type: 'number' })
  const heavy = await nina.build('product', { name: 'Anvil', sku: 'AN-77', price: 90, customFields: { weight: 60 } })
  const light = await nina.build('product', { name: 'Feather', price: 2, active: false })
  const idsOf = async (query: string) =>
    (await nina.get(`/products?${query}`)).body.data.map(({ id }: { id: string }) => id)
  expect(await idsOf('active=false')).toEqual([light.id])
  expect(await idsOf('price[gte]=50')).toEqual([heavy.id])
  expect(await idsOf('sku=AN-77')).toEqual([heavy.id])
  expect(await idsOf('sort=-price')).toEqual([heavy.id, light.id])
  expect(await idsOf('cf.weight[gt]=50')).toEqual([heavy.id])
  await eventually(async () => (await idsOf('q=anvl')).length === 1, 'the anvil, in spite of a typo')
  const found = (await nina.get('/search?q=AN-77')).body
  expect(found.data[0]).toMatchObject({ type: 'product', id: heavy.id, title: 'Anvil' })
})

test('notes, tasks and interactions can be about a product, and others may read it and not change it', async () => {
  const { alice, bob, charlie } = house
  const product = await alice.build('product')
  const related = [{ type: 'product', id: product.id }]
  for (const type of ['note', 'task', 'interaction']) {
    const { id } = await alice.build(type, { related })
    const path = { note: 'notes', task: 'tasks', interaction: 'interactions' }[type]
    expect((await alice.get(`/${path}?related=${product.id}`)).body.data[0].id).toBe(id)
  }
  expect((await bob.get(`/products/${product.id}`)).status).toBe(200)
  expect((await bob.patch(`/products/${product.id}`, { price: 1 })).status).toBe(403)
  expect((await charlie.get(`/products/${product.id}`)).status).toBe(404)
  expect((await charlie.post('/notes', { body: 'x', related })).status).toBe(400)
})
