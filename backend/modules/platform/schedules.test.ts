import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Schedule } from '../../kernel/jobs/job.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

const turns: boolean[] = []
const yearly: Schedule = {
  name: 'test.yearly',
  queue: 'cleanup',
  cron: '0 3 1 1 *',
  timezone: 'Europe/Berlin',
  run: async ({ dryRun }) => {
    turns.push(dryRun)
    return { years: 1 }
  },
}

let house: TestApp
let olga: Client
beforeAll(async () => {
  house = await startTestApp({ schedules: [yearly] })
  olga = await house.operator()
})
afterAll(() => house.stop())

test('an operator sees the standing work, and when each comes next', async () => {
  const { status, body } = await olga.get('/admin/jobs/schedules')
  expect(status).toBe(200)
  const mine = body.data.find(({ name }: { name: string }) => name === yearly.name)
  expect(mine).toEqual({
    name: yearly.name,
    queue: 'cleanup',
    cron: yearly.cron,
    timezone: 'Europe/Berlin',
    nextAt: expect.stringMatching(/-01-01T02:00:00\.000Z$/),
  })
  expect(body.data.map(({ name }: { name: string }) => name)).toContain('sessions.expire')
})

test('an operator asks what a schedule would do, and nothing is done', async () => {
  const { status, body } = await olga.post('/admin/jobs/schedules/test.yearly/run', { dryRun: true })
  expect([status, body]).toEqual([200, { name: yearly.name, dryRun: true, counts: { years: 1 } }])
  expect(turns).toEqual([true])
})

test('an operator has a turn of it done now, as a job', async () => {
  turns.length = 0
  const { status, body } = await olga.post('/admin/jobs/schedules/test.yearly/run')
  expect([status, body]).toEqual([202, { id: expect.any(String), queue: 'cleanup', status: 'waiting' }])
  await eventually(async () => turns.length > 0, 'the turn')
  const done = async () => (await olga.get('/admin/jobs/cleanup?state=completed')).body.data
  await eventually(async () => (await done()).some(({ id }: { id: string }) => id === body.id), 'the end of its job')
  expect(turns).toEqual([false])
})

test('every schedule of the house says what it would do', async () => {
  const { data } = (await olga.get('/admin/jobs/schedules')).body
  for (const { name } of data) {
    const answer = await olga.post(`/admin/jobs/schedules/${name}/run`, { dryRun: true })
    expect([name, answer.status]).toEqual([name, 200])
  }
})

test('an unknown schedule is 404, and nobody else may run one', async () => {
  expect((await olga.post('/admin/jobs/schedules/nonsense/run')).status).toBe(404)
  const wrong = await olga.post('/admin/jobs/schedules/test.yearly/run', { dryRun: 'yes' })
  expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, 'dryRun'])
  expect((await house.alice.get('/admin/jobs/schedules')).status).toBe(403)
  expect((await house.alice.post('/admin/jobs/schedules/test.yearly/run')).status).toBe(403)
})
