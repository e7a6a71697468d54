import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { PermanentError } from '../../kernel/events/subscription.ts'
import type { Job, Schedule, Work } from '../../kernel/jobs/job.ts'
import { createLogger } from '../../kernel/log.ts'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'

interface Letter {
  readonly subject: string
}

const done: { job: string; work: Work<Letter> }[] = []
const gaveUp: string[] = []
let broken = new Set<string>()
let hold: Promise<void> | undefined

/** Notes whose body begins with its word ask for the work; what is in `broken` fails. */
const job = (name: string, word: string, more: Partial<Job<Letter>> = {}): Job<Letter> => ({
  name,
  queue: 'email',
  data: z.object({ subject: z.string() }),
  on: ['note.created'],
  ask: (event) => {
    const body = String(event.record?.body ?? '')
    return body.startsWith(word) ? [{ data: { subject: body } }] : []
  },
  backoff: 10,
  run: async (work) => {
    await hold
    if (broken.has(work.data.subject)) throw new Error(`${work.data.subject} bounced`)
    done.push({ job: name, work })
  },
  gaveUp: async (work) => {
    gaveUp.push(work.data.subject)
  },
  ...more,
})

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

const leaking: Schedule = {
  ...yearly,
  name: 'test.leaking',
  run: async () => {
    throw new Error('the roof leaks')
  },
}

const dawdling: Schedule = {
  ...yearly,
  name: 'test.dawdling',
  timeout: 50,
  run: ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
}

const lines: Record<string, unknown>[] = []

let house: TestApp
beforeAll(async () => {
  house = await startTestApp({
    log: createLogger('warn', { write: (line) => void lines.push(JSON.parse(line)) }),
    jobs: [
      job('letter.send', 'letter'),
      job('poison.send', 'poison', {
        run: async () => {
          throw new PermanentError('no such address')
        },
      }),
      job('slow.send', 'slow', {
        timeout: 50,
        attempts: 2,
        run: ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
      }),
      job('turn.send', 'turn', { queue: 'push' }),
    ],
    schedules: [yearly, leaking, dawdling],
  })
})
afterAll(() => house.stop())

const sent = (subject: string) => done.filter(({ work }) => work.data.subject === subject)

test('an event asks for work, which is done once with who, what and why', async () => {
  const answer = await house.bob.post('/notes', { body: 'letter to Ada' })
  expect(answer.status).toBe(201)
  await eventually(async () => sent('letter to Ada').length === 1, 'the letter is sent')
  const [only] = sent('letter to Ada')
  expect(only?.work).toMatchObject({
    tenantId: house.alice.tenantId,
    attempt: 1,
    actor: { id: house.bob.userId, type: 'user' },
  })
  expect(only?.work.requestId).toBe(answer.headers.get('x-request-id'))
})

test('what fails is tried again, and when no attempt is left it is a dead letter with its reason', async () => {
  broken = new Set(['letter to nobody'])
  await house.alice.post('/notes', { body: 'letter to nobody' })
  await eventually(async () => gaveUp.includes('letter to nobody'), 'it is given up')
  broken = new Set()
  expect(sent('letter to nobody')).toEqual([])
})

test('no repetition helps the hopeless, and what is slower than its timeout has failed', async () => {
  await house.alice.post('/notes', { body: 'poison' })
  await house.alice.post('/notes', { body: 'slow' })
  await eventually(async () => gaveUp.includes('poison') && gaveUp.includes('slow'), 'both are given up')
  expect(gaveUp.filter((subject) => subject === 'poison')).toHaveLength(1)
})

test('a schedule that fails, or takes longer than its own timeout, is an error in the log, by its name', async () => {
  const olga = await house.operator()
  for (const { name } of [leaking, dawdling]) await olga.post(`/admin/jobs/schedules/${name}/run`)
  const errorOf = (schedule: string) =>
    eventually(
      async () => lines.find(({ name, level }) => name === schedule && level === 50),
      `the line of ${schedule}`,
    )
  expect(await errorOf('test.leaking')).toMatchObject({ attempt: 1, err: { message: 'the roof leaks' } })
  expect(await errorOf('test.dawdling')).toMatchObject({ err: { message: 'it took longer than its timeout' } })
})

test('what people wait for stands behind no purge', async () => {
  const { data } = (await (await house.operator()).get('/admin/jobs/schedules')).body
  const queueOf = new Map(data.map(({ name, queue }: Schedule) => [name, queue]))
  expect([queueOf.get('tasks.remind'), queueOf.get('notifications.end-snoozes')]).toEqual([
    'notifications',
    'notifications',
  ])
})

test('a tenant with many jobs does not keep another waiting behind them', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  hold = promise
  const many = Array.from({ length: 300 }, (_, index) => ({ op: 'create', data: { body: `turn ${index}` } }))
  expect((await house.alice.post('/notes/bulk', { operations: many })).status).toBe(200)
  const metrics = async () => await (await fetch(`${house.url}/metrics`)).text()
  await eventually(async () => /clientforge_jobs\{queue="push",state="waiting"\} 290/.test(await metrics()), 'all wait')
  for (const guest of [1, 2, 3]) await house.charlie.post('/notes', { body: `turn of guest ${guest}` })
  await eventually(
    async () => /clientforge_jobs\{queue="push",state="waiting"\} 293/.test(await metrics()),
    'guests wait',
  )
  hold = undefined
  resolve()
  await eventually(async () => done.filter((each) => each.job === 'turn.send').length === 303, 'all are done')
  const order = done.filter((each) => each.job === 'turn.send').map(({ work }) => work.data.subject)
  const last = order.findLastIndex((subject) => subject.startsWith('turn of guest'))
  expect(last).toBeLessThan(40)
})
