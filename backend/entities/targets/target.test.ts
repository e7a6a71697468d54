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

test('a target is of a user, a team or the tenant, and each has one a month', async () => {
  const team = await alice.build('team')
  for (const subject of [{ userId: alice.userId }, { teamId: team.id }, {}]) {
    const made = await alice.post('/targets', { period: '2026-11', amount: 250_000.5, ...subject })
    expect(made.body).toMatchObject({ userId: null, teamId: null, currency: 'USD', amount: 250_000.5, ...subject })
    const again = await alice.post('/targets', { period: '2026-11', amount: 1, ...subject })
    expect([again.status, again.body.code, again.body.errors[0].path]).toEqual([409, 'DUPLICATE', 'period'])
    await alice.delete(`/targets/${made.body.id}`)
    expect((await alice.post('/targets', { period: '2026-11', amount: 1, ...subject })).status).toBe(201)
    expect((await alice.post(`/targets`, { period: '2026-12', amount: 1, ...subject })).status).toBe(201)
  }
  const { body } = await alice.get(`/targets?period=2026-11&include=user,team`)
  expect(body.data.map((one: { team?: { name: string } }) => one.team?.name ?? null)).toContain('Central')
  expect((await alice.get(`/targets?userId=${alice.userId}&sort=-period`)).body.data).toHaveLength(2)
})

test('what is wrong with it is named', async () => {
  const team = await alice.build('team', { name: 'South' })
  for (const [values, path] of [
    [{ period: '2026-13', amount: 1 }, 'period'],
    [{ period: '2026-11-01', amount: 1 }, 'period'],
    [{ amount: 1 }, 'period'],
    [{ period: '2027-01' }, 'amount'],
    [{ period: '2027-01', amount: 1.00001 }, 'amount'],
    [{ period: '2027-01', amount: -1 }, 'amount'],
    [{ period: '2027-01', amount: 1, currency: 'XYZ' }, 'currency'],
    [{ period: '2027-01', amount: 1, userId: alice.userId, teamId: team.id }, 'teamId'],
    [{ period: '2027-01', amount: 1, userId: house.charlie.userId }, 'userId'],
  ] as const) {
    const answer = await alice.post('/targets', values)
    expect([values, answer.status, answer.body.errors?.[0]?.path]).toEqual([values, 400, path])
  }
  const { id } = await alice.build('target', { period: '2027-02' })
  expect((await alice.patch(`/targets/${id}`, { amount: 5, currency: 'EUR' })).body).toMatchObject({
    amount: 5,
    version: 2,
  })
  expect((await alice.patch(`/targets/${id}`, { amount: 6 }, { 'if-match': '"1"' })).status).toBe(412)
  expect((await alice.patch(`/targets/${id}`, { userId: alice.userId })).body.errors?.[0]?.path).toBe('userId')
})

test('managers write them, everybody reads them, and strangers see nothing', async () => {
  const mary = await house.join('Mary', 'manager')
  const { id } = await mary.build('target', { period: '2028-01', userId: house.bob.userId })
  expect((await mary.patch(`/targets/${id}`, { amount: 2 })).status).toBe(200)
  expect((await house.bob.get(`/targets/${id}`)).body.amount).toBe(2)
  expect((await house.bob.patch(`/targets/${id}`, { amount: 1 })).status).toBe(403)
  expect((await house.bob.post('/targets', { period: '2028-02', amount: 1 })).status).toBe(403)
  expect((await house.bob.delete(`/targets/${id}`)).status).toBe(403)
  expect((await house.charlie.get(`/targets/${id}`)).status).toBe(404)
  expect((await mary.delete(`/targets/${id}`)).status).toBe(204)
})
