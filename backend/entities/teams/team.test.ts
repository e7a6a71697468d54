import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

test('a team has a name of its own, a manager and members', async () => {
  const mary = await house.join('Mary', 'manager')
  const team = await alice.build('team', { name: 'Central', managerId: mary.userId })
  await alice.patch(`/users/${bob.userId}`, { teamId: team.id })
  const read = await bob.get(`/teams/${team.id}?include=manager`)
  expect(read.body).toMatchObject({ name: 'Central', manager: { name: 'Mary' } })
  const members = await bob.get(`/users?teamId=${team.id}&include=team`)
  expect(members.body.data).toMatchObject([{ name: 'Bob', team: { name: 'Central' } }])
  const taken = await alice.post('/teams', { name: 'Central' })
  expect([taken.status, taken.body.code]).toEqual([409, 'DUPLICATE'])
  expect((await house.charlie.post('/teams', { name: 'Central' })).status).toBe(201)
})

test('teams are listed, filtered and changed', async () => {
  const east = await alice.build('team', { name: 'East', managerId: bob.userId })
  const west = await alice.build('team', { name: 'West' })
  const names = async (query: string) =>
    (await bob.get(`/teams?${query}`)).body.data.map(({ name }: { name: string }) => name)
  expect(await names('name=East')).toEqual(['East'])
  expect(await names('name[in]=East,West')).toEqual(['West', 'East'])
  expect(await names('name[contains]=ES')).toEqual(['West'])
  expect(await names(`managerId=${bob.userId}`)).toEqual(['East'])
  const changed = await alice.patch(`/teams/${west.id}`, { managerId: bob.userId })
  expect(changed.body).toMatchObject({ managerId: bob.userId, version: 2 })
  expect(await names(`managerId=${bob.userId}`)).toEqual(['West', 'East'])
  expect((await alice.patch(`/teams/${east.id}`, { managerId: house.charlie.userId })).status).toBe(400)
})

test('a team that is deleted gives its name free', async () => {
  const team = await alice.build('team', { name: 'North' })
  expect((await alice.delete(`/teams/${team.id}`)).status).toBe(204)
  expect((await alice.get(`/teams/${team.id}`)).status).toBe(404)
  expect(
    (await alice.post('/users', { name: 'X', email: 'x@example.com', password: 'long enough', teamId: team.id }))
      .status,
  ).toBe(400)
  expect((await alice.post('/teams', { name: 'North' })).status).toBe(201)
})

test('what a manager may write follows his team, also when it is deleted', async () => {
  const mary = await house.join('Mary', 'manager')
  const nora = await house.join('Nora', 'member')
  const team = await alice.build('team', { name: 'South', managerId: mary.userId })
  const deal = await nora.build('deal')
  const write = async () => (await mary.patch(`/deals/${deal.id}`, { value: 2000 })).status
  expect(await write()).toBe(403)
  await alice.patch(`/users/${nora.userId}`, { teamId: team.id })
  expect(await write()).toBe(200)
  await alice.delete(`/teams/${team.id}`)
  expect(await write()).toBe(403)
})
