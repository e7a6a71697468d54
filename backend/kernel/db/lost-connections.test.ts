import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { roleUrl } from './roles.ts'

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
    for (const role of ['clientforge_app', 'clientforge_worker']) await cutAll(role)
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

/** As the role itself: a plain owner may not end the sessions of another. */
const cutAll = (role: string): Promise<unknown> =>
  asOwner(roleUrl(house.ownerUrl, role), (client) =>
    client.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`),
  )
