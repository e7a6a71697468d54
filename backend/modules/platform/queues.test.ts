import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { createPrinter, printed } from '../../test/printer.ts'

let house: TestApp
let olga: Client
const printer = createPrinter({ broken: true })
/** While it is, no event becomes a job, as when the queue does not answer. */
let stuck = false

beforeAll(async () => {
  const { ask } = printer.job
  const job = {
    ...printer.job,
    ask: (event: Parameters<typeof ask>[0]) => {
      if (stuck) throw new Error('the queue does not answer')
      return ask(event)
    },
  }
  house = await startTestApp({ jobs: [job] })
  olga = await house.operator()
})
afterAll(() => house.stop())

describe('the queues', () => {
  test('are counted by state, each of them', async () => {
    const { status, body } = await olga.get('/admin/jobs')
    expect([status, body.data.length]).toEqual([200, 9])
    expect(body.data.find(({ queue }: { queue: string }) => queue === 'sms')).toEqual({
      queue: 'sms',
      waiting: 0,
      active: 0,
      delayed: 0,
      completed: 0,
      failed: 0,
      paused: false,
    })
  })

  test('are paused, keep what comes, and go on', async () => {
    const body = { queue: 'reports' }
    const paused = await olga.post('/admin/jobs/pause', body)
    expect([paused.status, paused.body]).toMatchObject([200, { queue: 'reports', paused: true }])
    expect((await olga.post('/admin/jobs/pause', body)).status).toBe(200)
    await house.alice.build('tag', { name: 'Waits' })
    await eventually(async () => (await queue('reports')).waiting === 1, 'the job that waits')
    expect((await olga.get('/admin/jobs/reports?state=waiting')).body.data).toMatchObject([{ name: 'tag.print' }])
    const resumed = await olga.post('/admin/jobs/resume', body)
    expect([resumed.status, resumed.body]).toMatchObject([200, { queue: 'reports', paused: false }])
    await eventually(async () => (await dead()).length === 1, 'the end of the job that waited')
  })

  test('show what failed and why, and let it begin anew once', async () => {
    printer.broken = true
    const id = await failed()
    const { body } = await olga.get('/admin/jobs/reports?state=failed')
    expect(body.data[0]).toEqual({
      id,
      queue: 'reports',
      name: 'tag.print',
      state: 'failed',
      data: {
        tenantId: house.alice.tenantId,
        actor: { id: house.alice.userId, type: 'user' },
        requestId: expect.any(String),
        operationId: expect.any(String),
        data: { tagId: expect.any(String) },
      },
      attemptsMade: 1,
      attempts: 1,
      failedReason: 'the printer is on fire',
      addedAt: expect.any(String),
      startedAt: expect.any(String),
      endedAt: expect.any(String),
    })
    printer.broken = false
    const retried = await olga.post('/admin/jobs/retry', { queue: 'reports', jobId: id })
    expect([retried.status, retried.body.id]).toEqual([200, id])
    const completed = async () => (await queue('reports')).completed === 1
    await eventually(completed, 'the job that was retried')
    const wrong = await olga.post('/admin/jobs/retry', { queue: 'reports', jobId: 'a\0' })
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, 'jobId'])
    const again = await olga.post('/admin/jobs/retry', { queue: 'reports', jobId: id })
    expect([again.status, again.body.code]).toEqual([422, 'INVALID_TRANSITION'])
    expect((await olga.get('/admin/jobs/reports?state=completed')).body.data).toMatchObject([{ id }])
  })

  test('retry a job once, however many ask at once', async () => {
    printer.broken = true
    const id = await failed()
    await olga.post('/admin/jobs/pause', { queue: 'reports' })
    const body = { queue: 'reports', jobId: id }
    const answers = await Promise.all([1, 2, 3, 4].map(() => olga.post('/admin/jobs/retry', body)))
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses.every((status) => status === 200 || status === 422)).toBe(true)
    expect(statuses[0]).toBe(200)
    expect((await queue('reports')).waiting).toBe(1)
    await olga.post('/admin/jobs/resume', { queue: 'reports' })
    await eventually(async () => (await dead()).includes(id), 'it failed again')
  })

  test('are walked page by page, also while jobs come and go', async () => {
    printer.broken = true
    await olga.post('/admin/jobs/clean', { queue: 'reports', olderThanMs: 0 })
    const ids: string[] = []
    for (let count = 0; count < 5; count++) ids.unshift(await failed())
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body } = await olga.get(`/admin/jobs/reports?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
      seen.push(...body.data.map((one: { id: string }) => one.id))
      cursor = body.page.nextCursor
      if (seen.length === 2) {
        await failed()
        await olga.post('/admin/jobs/retry', { queue: 'reports', jobId: ids[0] })
      }
    }
    expect(seen).toEqual(ids)
  })

  test('are cleaned of what failed; what is done stays for an hour', async () => {
    printer.broken = true
    await failed()
    const young = await olga.post('/admin/jobs/clean', { queue: 'reports', olderThanMs: 3_600_000 })
    expect([young.status, young.body.removed]).toEqual([200, 0])
    const before = await queue('reports')
    const { status, body } = await olga.post('/admin/jobs/clean', { queue: 'reports', olderThanMs: 0 })
    expect([status, body]).toEqual([
      200,
      { queue: 'reports', removed: before.failed, failed: before.failed, completed: 0 },
    ])
    expect(await queue('reports')).toMatchObject({ failed: 0, completed: before.completed })
  })

  test('keep what is done as long as its event may be delivered again', async () => {
    const clean = async () =>
      (await olga.post('/admin/jobs/clean', { queue: 'reports', olderThanMs: 0 })).body.completed
    const wouldForget = async () =>
      (await olga.post('/admin/jobs/schedules/jobs.forget-completed/run', { dryRun: true })).body.counts.reports
    printer.broken = false
    await printer.print(house.alice, olga)
    const { completed } = await queue('reports')
    stuck = true
    const { id } = await house.alice.build('tag', { name: 'Stuck' })
    await asOwner(house.ownerUrl, async (owner) => {
      await owner.query("update events set occurred_at = occurred_at - interval '2 hours' where record_id = $1", [id])
      await owner.query("update bullmq.job set finished_at_ms = finished_at_ms - 7200000 where state = 'completed'")
    })
    expect([await wouldForget(), await clean()]).toEqual([0, 0])
    stuck = false
    await printed(olga, 'completed', id)
    await eventually(async () => (await wouldForget()) === completed, 'the cursor past all events')
    expect(await clean()).toBe(completed)
    expect(await queue('reports')).toMatchObject({ completed: 1 })
  })

  test('that there are not are 404, and a state that there is not is 400', async () => {
    expect((await olga.get('/admin/jobs/spaceships')).status).toBe(404)
    expect((await olga.get('/admin/jobs/spaceships?state=nonsense')).status).toBe(404)
    const state = await olga.get('/admin/jobs/email?state=lost')
    expect([state.status, state.body.errors[0].path]).toEqual([400, 'state'])
    for (const verb of ['pause', 'resume', 'clean', 'retry']) {
      const more = verb === 'clean' ? { olderThanMs: 0 } : verb === 'retry' ? { jobId: 'x' } : {}
      const path = `/admin/jobs/${verb}`
      expect([verb, (await olga.post(path, { queue: 'spaceships', ...more })).status]).toEqual([verb, 404])
      const empty = await olga.post(path, { ...more })
      expect([empty.status, empty.body.errors[0].path]).toEqual([400, 'queue'])
    }
    expect((await olga.post('/admin/jobs/retry', { queue: 'email', jobId: randomUUID() })).status).toBe(404)
    const old = await olga.post('/admin/jobs/clean', { queue: 'email', olderThanMs: -1 })
    expect([old.status, old.body.errors[0].path]).toEqual([400, 'olderThanMs'])
    expect((await olga.get('/admin/jobs/email?cursor=x')).status).toBe(400)
  })

  test('take the key of a call that is sent again', async () => {
    printer.broken = true
    const id = await failed()
    const retry = () =>
      olga.post(
        '/admin/jobs/retry',
        { queue: 'reports', jobId: id },
        { 'Idempotency-Key': `retry ${id}`.replace(' ', '-') },
      )
    await olga.post('/admin/jobs/pause', { queue: 'reports' })
    const first = await retry()
    const second = await retry()
    expect([first.status, second.status, second.headers.get('idempotent-replayed')]).toEqual([200, 200, 'true'])
    expect(second.body).toEqual(first.body)
    const other = await olga.post(
      '/admin/jobs/retry',
      { queue: 'reports', jobId: randomUUID() },
      { 'Idempotency-Key': `retry-${id}` },
    )
    expect([other.status, other.body.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED'])
    await olga.post('/admin/jobs/resume', { queue: 'reports' })
  })

  test('are nobody’s but the operator’s', async () => {
    for (const who of [house.alice, house.charlie]) {
      const answers = [
        await who.get('/admin/jobs'),
        await who.get('/admin/jobs/spaceships'),
        await who.post('/admin/jobs/pause', { queue: 'email' }),
        await who.post('/admin/jobs/clean', { nonsense: true }),
      ]
      expect(answers.map(({ status, body }) => [status, body.code])).toEqual(answers.map(() => [403, 'FORBIDDEN']))
    }
    expect((await house.nobody.get('/admin/jobs')).status).toBe(401)
  })
})

const failed = (): Promise<string> => printer.print(house.alice, olga)

/** The ids of what failed, the latest first. */
async function dead(): Promise<string[]> {
  const { data } = (await olga.get('/admin/jobs/reports')).body
  return data.map(({ id }: { id: string }) => id)
}

async function queue(name: string) {
  const { data } = (await olga.get('/admin/jobs')).body
  return data.find((one: { queue: string }) => one.queue === name)
}
