import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'
import { errorsOf, fixture, importTable } from '../../test/tables.ts'

/** The tables of a real, dirty dataset as they came, in the order in which a team would bring them. */
let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
  await alice.build('pipeline', {
    name: 'Hardware',
    stages: [
      { name: 'Prospecting', kind: 'open' },
      { name: 'Engaging', kind: 'open' },
      { name: 'Won', kind: 'won' },
      { name: 'Lost', kind: 'lost' },
    ],
  })
  await alice.build('customField', { resource: 'deal', key: 'engaged', label: 'Engaged', type: 'date' })
})
afterAll(() => house.stop())

const countOf = async (path: string) =>
  (await alice.get(`${path}${path.includes('?') ? '&' : '?'}count=exact&limit=1`)).body.page.total

test('accounts, with subsidiaries that are named before their parents', async () => {
  const done = await importTable(alice, await fixture('accounts.csv'), {
    resource: 'companies',
    mapping: {
      account: 'name',
      sector: 'industry',
      year_established: 'foundedYear',
      revenue: 'annualRevenue',
      employees: 'employees',
      office_location: 'address.country',
      subsidiary_of: 'parent.name',
    },
    defaults: { currency: 'EUR', tags: ['maven'] },
  })
  expect(await errorsOf(alice, done.id)).toEqual([])
  expect(done).toMatchObject({ status: 'completed', total: 85, processed: 85, created: 85, failed: 0, percent: 100 })
  const { body } = await alice.get('/companies?name=Bluth%20Company&include=parent')
  expect(body.data[0]).toMatchObject({
    industry: 'technolgy',
    foundedYear: 1993,
    annualRevenue: 1242.32,
    employees: 3027,
    currency: 'EUR',
    tags: ['maven'],
    address: { country: 'United States' },
    parent: { name: 'Acme Corporation' },
    ownerId: alice.userId,
  })
  expect(await countOf('/companies?parentId[isNull]=false')).toBe(15)
})

test('products', async () => {
  const mapping = { product: 'name', series: 'tags', sales_price: 'price' }
  const done = await importTable(alice, await fixture('products.csv'), { resource: 'products', mapping })
  expect([await errorsOf(alice, done.id), done.created]).toEqual([[], 7])
  const { body } = await alice.get('/products?name=GTK%20500')
  expect(body.data[0]).toMatchObject({ price: 26768, tags: ['GTK'] })
})

test('agents without an email, whose managers are no rows', async () => {
  const mapping = { sales_agent: 'name', manager: 'manager.name', regional_office: 'team.name' }
  const asked = { resource: 'users', mapping, createMissing: ['user', 'team'] }
  const done = await importTable(alice, await fixture('sales_teams.csv'), asked)
  expect(await errorsOf(alice, done.id)).toEqual([])
  expect(done).toMatchObject({ status: 'completed', created: 35, failed: 0, made: { team: 3, user: 6 } })
  const { body } = await alice.get('/users?name[startsWith]=Moses&include=manager,team')
  expect(body.data).toEqual([
    expect.objectContaining({
      name: 'Moses Frase',
      email: null,
      role: 'member',
      manager: expect.objectContaining({ name: 'Dustin Brinkmann' }),
      team: expect.objectContaining({ name: 'Central' }),
    }),
  ])
})

test('opportunities with misspelt products, empty accounts and American dates', async () => {
  const done = await importTable(alice, await fixture('sales_pipeline.csv'), {
    resource: 'deals',
    mapping: {
      opportunity_id: ['externalId', 'name'],
      sales_agent: 'owner.name',
      product: 'product.name',
      account: 'company.name',
      deal_stage: 'stage.name',
      engage_date: 'cf.engaged',
      close_date: 'closedAt',
      close_value: 'value',
    },
    defaults: { 'pipeline.name': 'Hardware' },
  })
  expect(await errorsOf(alice, done.id)).toEqual([])
  expect(done).toMatchObject({ status: 'completed', total: 400, created: 400, failed: 0, made: {} })
  expect(done.reading.columns).toMatchObject({ close_date: { dateOrder: 'mdy' }, engage_date: { dateOrder: 'mdy' } })
  const won = await countOf('/deals?status=won')
  const rows = (await fixture('sales_pipeline.csv')).toString().split('\n')
  expect(won).toBe(rows.filter((row) => row.includes(',Won,')).length)
  const row = rows.find((one) => one.includes(',GTXPro,') && one.includes(',Won,'))?.split(',') ?? []
  const [month, day, year] = (row[6] ?? '').split('/').map((part) => part.padStart(2, '0'))
  const { body } = await alice.get(`/deals?externalId=${row[0]}&include=owner,company`)
  expect(body.data[0]).toMatchObject({
    name: row[0],
    value: Number(row[7]),
    closedAt: `${year}-${month}-${day}T00:00:00.000Z`,
    owner: { name: row[1] },
    company: { name: row[3] },
    status: 'won',
  })
  const { body: lines } = await alice.get(`/deals/${body.data[0].id}/line-items`)
  expect(lines.data).toEqual([expect.objectContaining({ name: 'GTX Pro', quantity: 1, unitPrice: 4821 })])
  const [open] = (await alice.get('/deals?status=open&limit=1')).body.data
  expect(open.value).toBeGreaterThan(0)
})
