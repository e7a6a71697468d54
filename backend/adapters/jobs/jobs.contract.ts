import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { QueueName } from '../../kernel/jobs/job.ts'
import { eventually } from '../../test/client.ts'
import { HandedBack, Hopeless, type JobEngine, type NewJob, type Perform } from './jobs.port.ts'

/** What every store of jobs must do alike. `open` gives an engine as another process would have it, on the same store. */
export function jobsContract(name: string, open: () => Promise<JobEngine>): void {
  describe(name, () => {
    const engines: JobEngine[] = []
    let jobs: JobEngine
    const another = async (): Promise<JobEngine> => {
      const engine = await open()
      engines.push(engine)
      return engine
    }
    beforeAll(async () => {
      jobs = await another()
    })
    afterAll(async () => void (await Promise.all(engines.map((engine) => engine.close(5_000)))))

    test('work is done once, also when it is added twice, and again after it is done', async () => {
      const done: string[] = []
      const [first, second] = [job({ data: { n: 1 } }), job({ data: { n: 2 } })]
      jobs.work('email', { concurrency: 2 }, async ({ id }) => {
        done.push(id)
      })
      await jobs.add('email', [first, second])
      await jobs.add('email', [first])
      await eventually(async () => (await jobs.counts('email')).completed === 2, 'both are done')
      await jobs.add('email', [first, second])
      await jobs.add('email', [job({ id: 'last' })])
      await eventually(async () => done.includes('last'), 'what was added later is done')
      expect(done.toSorted()).toEqual([first.id, second.id, 'last'].toSorted())
      expect(await jobs.get('email', first.id)).toMatchObject({ state: 'completed', data: { n: 1 }, attemptsMade: 1 })
    })

    test('turns decide, then the order of adding; a paused queue keeps its work', async () => {
      const done: string[] = []
      await jobs.pause('sms')
      await jobs.add('sms', [job({ id: 'c', turn: 9 }), job({ id: 'a', turn: 4 }), job({ id: 'b', turn: 4 })])
      await jobs.add('sms', [job({ id: 'urgent', turn: 1 })])
      expect(await jobs.nextTurn('sms')).toBe(1)
      expect(await jobs.counts('sms')).toMatchObject({ waiting: 4, active: 0, paused: true })
      jobs.work('sms', { concurrency: 1 }, async ({ id }) => {
        done.push(id)
      })
      await jobs.resume('sms')
      await eventually(async () => done.length === 4, 'all are done')
      expect(done).toEqual(['urgent', 'a', 'b', 'c'])
      expect(await jobs.nextTurn('sms')).toBeUndefined()
      expect(await jobs.counts('sms')).toMatchObject({ waiting: 0, paused: false })
    })

    test('what fails is tried again until it passes, and what is delayed waits', async () => {
      const attempts: number[] = []
      await works('push', async ({ attempt }) => {
        attempts.push(attempt)
        if (attempt < 3) throw new Error('the provider is down')
      })
      const late = job({ delay: 100_000 })
      const hard = job({ attempts: 3 })
      await jobs.add('push', [late, hard])
      await eventually(async () => (await jobs.get('push', hard.id))?.state === 'completed', 'it passes')
      expect(attempts).toEqual([1, 2, 3])
      expect(await jobs.get('push', late.id)).toMatchObject({ state: 'delayed', attemptsMade: 0, startedAt: null })
    })

    test('the hopeless fails at once, is listed with its reason, and can be begun anew', async () => {
      let broken = true
      await works('webhooks', async () => {
        if (broken) throw new Hopeless('no such address')
      })
      const dead = job({ attempts: 5 })
      await jobs.add('webhooks', [dead])
      await eventually(async () => (await jobs.counts('webhooks')).failed === 1, 'it failed')
      expect(await jobs.list('webhooks', 'failed', { offset: 0, limit: 10 })).toEqual([
        expect.objectContaining({ id: dead.id, state: 'failed', failedReason: 'no such address', attemptsMade: 1 }),
      ])
      expect(await jobs.retry('webhooks', randomUUID())).toBe(false)
      broken = false
      const begun = await Promise.all([1, 2, 3].map(() => jobs.retry('webhooks', dead.id)))
      expect(begun.filter(Boolean)).toEqual([true])
      await eventually(async () => (await jobs.get('webhooks', dead.id))?.state === 'completed', 'it passes')
      expect(await jobs.retry('webhooks', dead.id)).toBe(false)
    })

    test('what is handed back runs again and has used no attempt', async () => {
      const seen: number[] = []
      await works('reports', async ({ attempt }) => {
        seen.push(attempt)
        if (seen.length === 1) throw new HandedBack()
      })
      const once = job({ attempts: 1 })
      await jobs.add('reports', [once])
      await eventually(async () => (await jobs.get('reports', once.id))?.state === 'completed', 'it passes')
      expect(seen).toEqual([1, 1])
    })

    test('a rate is held over all processes', async () => {
      const limit = { max: 3, duration: 1_000 }
      const perform: Perform = async () => {}
      for (const engine of [jobs, await another()]) engine.work('notifications', { concurrency: 5, limit }, perform)
      await jobs.add(
        'notifications',
        Array.from({ length: 7 }, () => job()),
      )
      await eventually(async () => (await jobs.counts('notifications')).completed === 7, 'all are done')
      const done = await jobs.list('notifications', 'completed', { offset: 0, limit: 10 })
      const starts = done.map(({ startedAt }) => Date.parse(startedAt ?? '')).toSorted((a, b) => a - b)
      expect((starts[6] ?? 0) - (starts[0] ?? 0)).toBeGreaterThanOrEqual(2 * limit.duration - 50)
    })

    test('the work of a process that died is taken up by another', async () => {
      const doomed = await open()
      const stuck = Promise.withResolvers<void>()
      doomed.work('imports', { concurrency: 1 }, async () => {
        stuck.resolve()
        await new Promise(() => {})
      })
      const mine = job()
      await jobs.add('imports', [mine])
      await stuck.promise
      await doomed.close(0)
      await works('imports', async () => {})
      await eventually(async () => (await jobs.get('imports', mine.id))?.state === 'completed', 'it is done')
    })

    test('standing jobs are what was said last, come at their time of day, and old work is cleaned', async () => {
      const berlin = { timezone: 'Europe/Berlin' }
      await jobs.schedule('cleanup', [{ name: 'old.one', cron: '0 1 * * *', timezone: 'UTC' }])
      await jobs.schedule('cleanup', [
        { name: 'each.minute', cron: '* * * * *', timezone: 'UTC' },
        { name: 'each.morning', cron: '30 7 * * *', ...berlin },
      ])
      const standing = await jobs.standing('cleanup')
      expect(standing.map(({ name }) => name).toSorted()).toEqual(['each.minute', 'each.morning'])
      const next = new Date(standing.find(({ name }) => name === 'each.morning')?.next ?? '')
      expect(new Intl.DateTimeFormat('de', { timeStyle: 'short', timeZone: berlin.timezone }).format(next)).toBe(
        '07:30',
      )
      expect(await jobs.countEnded('reports', 'completed', 3_600_000)).toBe(0)
      expect(await jobs.countEnded('reports', 'completed', 0)).toBe(1)
      expect(await jobs.clean('reports', 'completed', 3_600_000)).toBe(0)
      expect(await jobs.clean('reports', 'completed', 0)).toBe(1)
      expect(await jobs.health()).toMatchObject({ status: 'up' })
    })

    const works = async (queue: QueueName, perform: Perform): Promise<void> => {
      jobs.work(queue, { concurrency: 1 }, perform)
    }
  })
}

/** A job that asks for nothing special. */
const job = (given: Partial<NewJob> = {}): NewJob => ({
  id: randomUUID(),
  name: 'test.job',
  data: {},
  turn: 1,
  delay: 0,
  attempts: 1,
  backoff: 10,
  ...given,
})
