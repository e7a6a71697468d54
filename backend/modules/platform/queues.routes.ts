import { z } from 'zod'
import { type JobEngine, type JobState, jobStates, type StoredJob } from '../../adapters/jobs/jobs.port.ts'
import type { Operator } from '../../kernel/context.ts'
import { filledSchema, textSchema } from '../../kernel/entity/fields.ts'
import { notFound, rule } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { operatorRoute, type Route } from '../../kernel/http/route.ts'
import { type QueueName, queueNames } from '../../kernel/jobs/job.ts'
import type { Logger } from '../../kernel/log.ts'
import { jobsBehind } from './place.ts'

export interface QueueOptions {
  readonly engine: JobEngine
  /** Removes completed jobs that ended so many milliseconds ago, but none whose event may be delivered again. */
  cleanCompleted(queue: QueueName, olderThan: number): Promise<number>
  readonly log: Logger
}

const tag = 'platform'

/** The queues as platform operators see and steer them: section 8 of the contract. */
export function queueRoutes({ engine, cleanCompleted, log }: QueueOptions): Route[] {
  const told = (operator: Operator, what: Record<string, unknown>, sentence: string): void =>
    log.info({ requestId: operator.requestId, operator: operator.id, ...what }, sentence)
  const stateOf = async (queue: QueueName) => ({ queue, ...(await engine.counts(queue)) })

  return [
    operatorRoute({
      method: 'get',
      path: '/admin/jobs',
      operationId: 'listQueues',
      summary: 'How many jobs each queue holds, by state',
      tag,
      responses: { 200: { description: 'All queues', schema: pageOf(queueSchema) } },
      handle: async () => ({
        status: 200,
        body: { data: await Promise.all(queueNames.map(stateOf)), page: { limit: 50, nextCursor: null } },
      }),
    }),
    operatorRoute({
      method: 'get',
      path: '/admin/jobs/{queue}',
      operationId: 'listJobs',
      summary: 'The jobs of a queue in one state, the latest first',
      tag,
      params: z.object({ queue: z.enum(queueNames) }),
      query: z.strictObject({
        state: z.enum(jobStates).default('failed'),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      responses: { 200: { description: 'A page of jobs', schema: pageOf(jobSchema) } },
      handle: async (_operator, { params: { queue }, query: { state, limit = 50, cursor } }) => {
        const list = `jobs ${queue} ${state}`
        const place = readPlace(cursor, list, placeSchema)
        const { jobs, offset } = await jobsBehind(engine, queue, state, place, limit + 1)
        const { data, page } = paged(jobs, limit, list, (last) => [offset + limit, last.id])
        return { status: 200, body: { data: data.map((job) => shown(queue, job)), page } }
      },
    }),
    operatorRoute({
      method: 'post',
      path: '/admin/jobs/retry',
      operationId: 'retryJob',
      summary: 'Let a failed job begin anew, with all its attempts',
      tag,
      body: z.strictObject({
        queue: queueMember,
        jobId: filledSchema(500),
      }),
      responses: { 200: { description: 'The job', schema: jobSchema } },
      problems: [404, 422],
      handle: async (operator, { body: { queue: named, jobId } }) => {
        const queue = queueOf(named)
        const begun = await engine.retry(queue, jobId)
        const job = await engine.get(queue, jobId)
        if (!job) throw notFound()
        if (!begun) throw rule('INVALID_TRANSITION', `Only a failed job can be retried; this one is ${job.state}`)
        told(operator, { queue, job: jobId }, 'a job was retried')
        return { status: 200, body: shown(queue, job) }
      },
    }),
    ...(['pause', 'resume'] as const).map((verb) =>
      operatorRoute({
        method: 'post',
        path: `/admin/jobs/${verb}`,
        operationId: `${verb}Queue`,
        summary: steering[verb],
        tag,
        body: z.strictObject({ queue: queueMember }),
        responses: { 200: { description: 'The queue', schema: queueSchema } },
        problems: [404],
        handle: async (operator, { body }) => {
          const queue = queueOf(body.queue)
          await engine[verb](queue)
          told(operator, { queue }, `a queue was ${verb}d`)
          return { status: 200, body: await stateOf(queue) }
        },
      }),
    ),
    operatorRoute({
      method: 'post',
      path: '/admin/jobs/clean',
      operationId: 'cleanQueue',
      summary: 'Remove what failed or was completed so many milliseconds ago',
      description:
        'Completed jobs stay for at least an hour, and as long as the events that asked for them may be delivered again, so that nothing runs twice.',
      tag,
      body: z.strictObject({ queue: queueMember, olderThanMs: z.int().min(0).max(Number.MAX_SAFE_INTEGER) }),
      responses: { 200: { description: 'How many were removed', schema: cleanedSchema } },
      problems: [404],
      handle: async (operator, { body: { queue: named, olderThanMs } }) => {
        const queue = queueOf(named)
        const failed = await engine.clean(queue, 'failed', olderThanMs)
        const completed = await cleanCompleted(queue, olderThanMs)
        told(operator, { queue, failed, completed }, 'a queue was cleaned')
        return { status: 200, body: { queue, removed: failed + completed, failed, completed } }
      },
    }),
  ]
}

const steering = {
  pause: 'Take no more work from a queue; what is being done goes on',
  resume: 'Go on with a paused queue',
}

const count = z.int().min(0)

const queueSchema = z
  .object({
    queue: z.enum(queueNames),
    waiting: count,
    active: count,
    delayed: count,
    completed: count,
    failed: count,
    paused: z.boolean(),
  })
  .meta({ id: 'Queue' })

const moment = z.iso.datetime({ precision: 3 })

const jobSchema = z
  .object({
    id: z.string(),
    queue: z.enum(queueNames),
    name: z.string(),
    state: z.enum(jobStates),
    data: z.unknown().meta({ description: 'What it was asked to do: ids, and no secret' }),
    attemptsMade: count,
    attempts: count,
    failedReason: z.string().nullable(),
    addedAt: moment,
    startedAt: moment.nullable(),
    endedAt: moment.nullable(),
  })
  .meta({ id: 'Job' })

const cleanedSchema = z.object({ queue: z.enum(queueNames), removed: count, failed: count, completed: count })

/** Its values stand in the document only: a queue that there is not is 404 here as in the path. */
const queueMember = z.string().meta({ enum: [...queueNames] })

function queueOf(named: string): QueueName {
  const queue = queueNames.find((name) => name === named)
  if (!queue) throw notFound(`There is no queue of this name; there are ${queueNames.join(', ')}`)
  return queue
}

const placeSchema = z
  .tuple([z.int().min(1).max(2_147_483_647), textSchema(500)])
  .transform(([offset, id]) => ({ offset, id }))

const shown = (queue: QueueName, job: StoredJob): StoredJob & { queue: QueueName; state: JobState } => ({
  queue,
  ...job,
})
