import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

describe('the own tenant', () => {
  test('is shown to all its people with plan, limits and what is used', async () => {
    const { contacts, users } = (await bob.get('/tenant')).body.usage
    await alice.build('contact')
    const { status, body, headers } = await bob.get('/tenant')
    expect([status, headers.get('etag')]).toEqual([200, `"${body.version}"`])
    expect(body).toMatchObject({
      id: alice.tenantId,
      name: 'Acme',
      timezone: 'UTC',
      locale: 'en',
      currency: 'USD',
      plan: 'unlimited',
      limits: { contacts: null, users: null, storageBytes: null, callsPerMinute: null },
      usage: { contacts: contacts + 1, users, storageBytes: 0 },
      featureFlags: {},
      settings: { requireTwoFactorFrom: null },
    })
    expect(users).toBe(2)
  })

  test('is changed by its administrators, and its timeline tells of it', async () => {
    const before = (await alice.get('/tenant')).body
    const change = { name: 'Acme Ltd', timezone: 'Europe/Vienna', settings: { requireTwoFactorFrom: '2030-01-01' } }
    const { status, body } = await alice.patch('/tenant', change)
    expect([status, body.version]).toEqual([200, before.version + 1])
    expect(body).toMatchObject(change)
    expect((await alice.patch('/tenant', change)).body.version).toBe(body.version)
    const told = await eventually(async () => {
      const { data } = (await alice.get('/timeline?entityType=tenant')).body
      return data.find(({ metadata }: { metadata: { version: number } }) => metadata.version === body.version)
    }, 'the change in the timeline')
    expect(told).toMatchObject({ entityName: 'Acme Ltd', action: 'updated', actor: { name: 'Alice' } })
    expect(told.changes.map(({ field }: { field: string }) => field)).toEqual(['name', 'timezone', 'settings'])
    expect((await bob.patch('/tenant', { name: 'Bobs' })).status).toBe(403)
    expect((await house.charlie.get('/tenant')).body.name).toBe('Globex')
    expect((await house.nobody.get('/tenant')).status).toBe(401)
  })

  test('takes back what was read, and refuses what is the platform’s', async () => {
    const { body, headers } = await alice.get('/tenant')
    expect((await alice.patch('/tenant', body)).body.version).toBe(body.version)
    for (const [member, value] of Object.entries({ plan: 'business', featureFlags: { beta: true }, limits: {} })) {
      const refused = await alice.patch('/tenant', { [member]: value })
      expect([refused.status, refused.body.errors[0].path]).toEqual([400, member])
    }
    for (const [member, value] of Object.entries({ timezone: 'Mars', locale: '?', currency: 'XXY', name: ' ' })) {
      const refused = await alice.patch('/tenant', { [member]: value })
      expect([refused.status, refused.body.errors[0].path]).toEqual([400, member])
    }
    const etag = headers.get('etag') ?? ''
    expect((await alice.patch('/tenant', { name: 'Once' }, { 'If-Match': etag })).status).toBe(200)
    expect((await alice.patch('/tenant', { name: 'Twice' }, { 'If-Match': etag })).status).toBe(412)
  })

  test('keeps its currency while rates are stated in it', async () => {
    const { charlie } = house
    expect((await charlie.patch('/tenant', { currency: 'EUR' })).body.currency).toBe('EUR')
    const rate = await charlie.build('exchangeRate', { currency: 'GBP' })
    const refused = await charlie.patch('/tenant', { currency: 'USD' })
    expect([refused.status, refused.body.code]).toEqual([422, 'EXCHANGE_RATES_EXIST'])
    await charlie.delete(`/exchange-rates/${rate.id}`)
    expect((await charlie.patch('/tenant', { currency: 'USD' })).status).toBe(200)
  })
})
