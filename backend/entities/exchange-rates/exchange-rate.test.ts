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

test('a currency has one rate from a day on, kept exactly', async () => {
  const made = await alice.post('/exchange-rates', { currency: 'JPY', rate: 0.006612345678, validFrom: '2026-11-01' })
  expect(made.body).toMatchObject({ currency: 'JPY', rate: 0.006612345678, validFrom: '2026-11-01', version: 1 })
  const again = await alice.post('/exchange-rates', { currency: 'JPY', rate: 1, validFrom: '2026-11-01' })
  expect([again.status, again.body.code, again.body.errors[0].path]).toEqual([409, 'DUPLICATE', 'validFrom'])
  const next = await alice.build('exchangeRate', { currency: 'JPY', validFrom: '2026-12-01' })
  const taken = await alice.patch(`/exchange-rates/${next.id}`, { validFrom: '2026-11-01' })
  expect([taken.status, taken.body.errors[0].path]).toEqual([409, 'validFrom'])
  const { body } = await alice.get('/exchange-rates?currency=JPY&sort=-validFrom')
  expect(body.data.map((rate: { validFrom: string }) => rate.validFrom)).toEqual(['2026-12-01', '2026-11-01'])
  await alice.delete(`/exchange-rates/${made.body.id}`)
  expect((await alice.get('/exchange-rates?validFrom[lte]=2026-11-30')).body.data).toEqual([])
  expect((await alice.patch(`/exchange-rates/${next.id}`, { validFrom: '2026-11-01' })).status).toBe(200)
})

test('what is wrong with it is named', async () => {
  const rate = { currency: 'EUR', rate: 1.1, validFrom: '2026-11-01' }
  for (const [change, path] of [
    [{ currency: 'USD' }, 'currency'],
    [{ currency: 'eur' }, 'currency'],
    [{ currency: undefined }, 'currency'],
    [{ rate: 0 }, 'rate'],
    [{ rate: -1 }, 'rate'],
    [{ rate: 1e-13 }, 'rate'],
    [{ rate: null }, 'rate'],
    [{ validFrom: '2026-02-30' }, 'validFrom'],
    [{ validFrom: undefined }, 'validFrom'],
    [{ validTo: '2026-12-01' }, 'validTo'],
  ] as const) {
    const answer = await alice.post('/exchange-rates', { ...rate, ...change })
    expect([change, answer.status, answer.body.errors?.[0]?.path]).toEqual([change, 400, path])
  }
  const { id } = await alice.build('exchangeRate')
  expect((await alice.patch(`/exchange-rates/${id}`, { currency: 'GBP' })).body.errors?.[0]?.path).toBe('currency')
})

test('admins write them, everybody reads them, and strangers see nothing', async () => {
  const { id } = await alice.build('exchangeRate', { currency: 'CHF' })
  const mary = await house.join('Mary', 'manager')
  expect((await mary.get(`/exchange-rates/${id}`)).status).toBe(200)
  for (const who of [mary, house.bob]) {
    expect((await who.post('/exchange-rates', { currency: 'SEK', rate: 1, validFrom: '2026-01-01' })).status).toBe(403)
    expect((await who.patch(`/exchange-rates/${id}`, { rate: 2 })).status).toBe(403)
    expect((await who.delete(`/exchange-rates/${id}`)).status).toBe(403)
  }
  expect((await house.charlie.get(`/exchange-rates/${id}`)).status).toBe(404)
  expect((await house.nobody.get('/exchange-rates')).status).toBe(401)
})
