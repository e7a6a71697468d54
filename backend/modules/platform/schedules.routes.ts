import { z } from 'zod'
import type { JobEngine } from '../../adapters/jobs/jobs.port.ts'
import { notFound } from '../../kernel/errors.ts'
import { pageOf } from '../../kernel/http/page.ts'
import { operatorRoute, type Route } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { queueNames, type Schedule } from '../../kernel/jobs/job.ts'
import type { Logger } from '../../kernel/log.ts'

export interface ScheduleOptions {
  readonly engine: JobEngine
  readonly schedules: readonly Schedule[]
  readonly log: Logger
}

const tag = 'platform'

/** The standing work of the house: when each comes next, and a turn of it now, or only its counts. */
export function scheduleRoutes({ engine, schedules, log }: ScheduleOptions): Route[] {
  return [
    operatorRoute({
      method: 'get',
      path: '/admin/jobs/schedules',
      operationId: 'listSchedules',
      summary: 'The standing work of the house, and when each comes next',
      tag,
      responses: { 200: { description: 'All schedules', schema: pageOf(scheduleSchema) } },
      handle: async () => ({
        status: 200,
        body: { data: await standing(engine, schedules), page: { limit: schedules.length, nextCursor: null } },
      }),
    }),
    operatorRoute({
      method: 'post',
      path: '/admin/jobs/schedules/{name}/run',
      operationId: 'runSchedule',
      summary: 'Run a schedule now, or say what it would do',
      description: 'With `dryRun` nothing is changed and the counts are the answer; without, a job of it is queued.',
      tag,
      params: z.object({ name: z.string() }),
      body: z.strictObject({ dryRun: z.boolean().default(false) }).default({ dryRun: false }),
      responses: {
        200: { description: 'What it would do', schema: dryRunSchema },
        202: { description: 'Queued', schema: queuedSchema },
      },
      handle: async (operator, { params, body: { dryRun } }) => {
        const schedule = schedules.find(({ name }) => name === params.name)
        if (!schedule) throw notFound()
        const { name, queue } = schedule
        const { requestId } = operator
        if (dryRun) {
          const signal = AbortSignal.timeout(dryRunMs)
          const counts = await schedule.run({ dryRun, signal, log: log.child({ requestId, name }) })
          return { status: 200, body: { name, dryRun, counts } }
        }
        const id = newId()
        await engine.add(queue, [{ id, name, data: {}, turn: 1, delay: 0, attempts: 1, backoff: 1_000 }])
        log.info({ requestId, operator: operator.id, queue, name, job: id }, 'a schedule was asked to run now')
        return { status: 202, body: { id, queue, status: 'waiting' } }
      },
    }),
  ]
}

/** A caller waits for the counts: so long. */
const dryRunMs = 9_000

async function standing(engine: JobEngine, schedules: readonly Schedule[]): Promise<unknown[]> {
  const queues = [...new Set(schedules.map(({ queue }) => queue))]
  const known = (await Promise.all(queues.map((queue) => engine.standing(queue)))).flat()
  return schedules.map(({ name, queue, cron, timezone = 'UTC' }) => ({
    name,
    queue,
    cron,
    timezone,
    nextAt: known.find((one) => one.name === name)?.next ?? null,
  }))
}

const scheduleSchema = z
  .object({
    name: z.string(),
    queue: z.enum(queueNames),
    cron: z.string(),
    timezone: z.string(),
    nextAt: z.iso
      .datetime({ precision: 3 })
      .nullable()
      .meta({ description: 'Null until a process that does jobs has started' }),
  })
  .meta({ id: 'Schedule' })

const dryRunSchema = z.object({ name: z.string(), dryRun: z.literal(true), counts: z.record(z.string(), z.number()) })

const queuedSchema = z.object({ id: z.string(), queue: z.enum(queueNames), status: z.literal('waiting') })
