import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'

let house: TestApp

beforeAll(async () => {
  house = await startTestApp()
})
afterAll(() => house.stop())

test('connections that are cut while they work cost their requests, not the process', async () => {
  let going = true
  const statuses = new Set<number>()
  const caller = async (): Promise<void> => {
    while (going) statuses.add((await house.alice.post('/contacts', { lastName: 'Cut' })).status)
  }
  const callers = Array.from({ length: 6 }, caller)
  for (let cut = 0; cut < 5; cut++) {
    const before = (await house.alice.get('/contacts?limit=1')).status
    expect([200, 503]).toContain(before)
    await asOwner(house.ownerUrl, (client) =>
      client.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`),
    )
  }
  going = false
  await Promise.all(callers)
  expect([...statuses].filter((status) => status !== 201 && status !== 503)).toEqual([])
  const made = await eventually(async () => {
    const answer = await house.alice.post('/contacts', { lastName: 'Back' })
    return answer.status === 201 && answer.body
  }, 'a contact after the connections are back')
  expect(await house.alice.timeline('contact', made.id, 1)).toHaveLength(1)
})
