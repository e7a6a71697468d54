import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

const treeOf = async (id: string, who = alice) => (await who.get(`/companies/${id}/hierarchy`)).body
const build = async (name: string, parentId?: string) => (await alice.build('company', { name, parentId })).id

test('a company stands between those above and those below it, with what all of them have', async () => {
  const holding = await build('Holding')
  const europe = await build('Europe', holding)
  const berlin = await build('Berlin', europe)
  const athens = await build('Athens', europe)
  await build('America', holding)
  const shop = await build('Shop', berlin)
  const gone = await build('Gone', europe)
  const archived = await build('Archived', europe)
  await alice.delete(`/companies/${gone}`)
  await alice.post(`/companies/${archived}/archive`)
  const [pipeline] = (await alice.get('/pipelines?isDefault=true')).body.data
  const [won] = pipeline.stages.filter((stage: { kind: string }) => stage.kind === 'won')
  await alice.build('exchangeRate', { currency: 'EUR', rate: 1.1, validFrom: '2026-01-01' })
  await alice.build('exchangeRate', { currency: 'EUR', rate: 1.2, validFrom: '2026-06-01' })
  for (const deal of [
    { companyId: europe, value: 100 },
    { companyId: shop, value: 10.5 },
    { companyId: shop, value: 100, currency: 'EUR' },
    { companyId: shop, value: 7, currency: 'GBP' },
    { companyId: shop, value: null, currency: 'CHF' },
    { companyId: berlin, value: 1000, currency: 'EUR', stageId: won.id, closedAt: '2026-03-01T00:00:00Z' },
    { companyId: holding, value: 9999 },
    { companyId: archived, value: 9999 },
  ])
    await alice.build('deal', deal)
  const { id: contactId } = await alice.build('contact', { companyId: athens })
  await alice.build('contact', { companyId: shop })
  await alice.build('contact', { companyId: holding })
  expect(await treeOf(europe)).toEqual({
    ancestors: [{ id: holding, name: 'Holding' }],
    company: {
      id: europe,
      name: 'Europe',
      children: [
        { id: athens, name: 'Athens', children: [] },
        { id: berlin, name: 'Berlin', children: [{ id: shop, name: 'Shop', children: [] }] },
      ],
    },
    sums: {
      companies: 4,
      contacts: 2,
      openDeals: 5,
      openValue: 230.5,
      wonDeals: 1,
      wonValue: 1100,
      currency: 'USD',
      unconverted: [{ currency: 'GBP', count: 1, value: 7 }],
    },
    truncated: false,
  })
  expect((await treeOf(shop)).ancestors.map((one: { name: string }) => one.name)).toEqual([
    'Holding',
    'Europe',
    'Berlin',
  ])
  expect((await treeOf(holding)).sums).toMatchObject({ companies: 6, contacts: 3, openDeals: 6 })
  await alice.delete(`/contacts/${contactId}`)
  await alice.patch(`/companies/${berlin}`, { parentId: null })
  expect((await treeOf(europe)).sums).toMatchObject({ companies: 2, contacts: 0, openValue: 100, wonValue: 0 })
})

test('a company alone is a tree of one', async () => {
  const id = await build('Alone')
  expect(await treeOf(id)).toMatchObject({
    ancestors: [],
    company: { id, name: 'Alone', children: [] },
    sums: { companies: 1, contacts: 0, openDeals: 0, openValue: 0, wonValue: 0, unconverted: [] },
  })
})

test('a tree that is too deep or too wide is cut, and says so', async () => {
  let id: string | undefined
  const chain: string[] = []
  for (let level = 0; level <= 21; level++) {
    id = await build(`Level ${level}`, id)
    chain.push(id)
  }
  const top = await treeOf(chain[0] ?? '')
  expect([top.truncated, top.sums.companies]).toEqual([true, 21])
  const next = await treeOf(chain[1] ?? '')
  expect([next.truncated, next.sums.companies]).toEqual([false, 21])
  const bottom = await treeOf(chain[21] ?? '')
  expect([bottom.ancestors.length, bottom.ancestors[0].name]).toEqual([20, 'Level 1'])
  const wide = await build('Wide')
  for (let page = 0; page < 2; page++) {
    const { body } = await alice.post('/companies/bulk', {
      operations: Array.from({ length: 505 }, (_none, index) => ({
        op: 'create',
        data: { name: `Branch ${page} ${index}`, parentId: wide },
      })),
    })
    expect(body.results.filter(({ status }: { status: number }) => status !== 201)).toEqual([])
  }
  const { truncated, sums, company } = await treeOf(wide)
  expect([truncated, sums.companies, company.children.length]).toEqual([true, 1000, 999])
})

test('is seen by who may read the company', async () => {
  const id = await build('Private')
  expect((await house.bob.get(`/companies/${id}/hierarchy`)).status).toBe(200)
  expect((await house.charlie.get(`/companies/${id}/hierarchy`)).status).toBe(404)
  expect((await house.nobody.get(`/companies/${id}/hierarchy`)).status).toBe(401)
  await alice.delete(`/companies/${id}`)
  expect((await alice.get(`/companies/${id}/hierarchy`)).status).toBe(404)
  expect((await alice.get('/companies/x/hierarchy')).status).toBe(404)
})
