import {
  type BackendFactory,
  DelayedError,
  type IQueueBackend,
  type Job,
  type JobType,
  Queue,
  UnrecoverableError,
  Worker,
} from 'bullmq'
import type { QueueName } from '../../kernel/jobs/job.ts'
import type { Logger } from '../../kernel/log.ts'
import { countEnded } from './ended.ts'
import {
  HandedBack,
  Hopeless,
  type JobCounts,
  type JobEngine,
  type JobState,
  type NewJob,
  type Perform,
  type StoredJob,
  type TakenJob,
  type WorkOptions,
} from './jobs.port.ts'
import { told } from './told.ts'

/** A store of BullMQ, open: how its queues and workers connect, and how it is closed. */
export interface Store<Connection> {
  readonly name: JobEngine['store']
  /** For what is asked and added: fails soon when the store does not answer. */
  readonly connection: Connection
  /** For workers, who wait as long as it takes. */
  readonly workerConnection: Connection
  readonly backend: BackendFactory<IQueueBackend, Connection>
  answers(): Promise<boolean>
  close(): Promise<void>
}

/** A job whose process died is taken up again after two of these, milliseconds. */
const lockDuration = 5_000
/** A job that took its process down with it so often is given up: it would take the next one too. */
const deaths = 5
/** Half of each wait is left to chance, so that what failed together does not come back together. */
const jitter = 0.5

/** BullMQ as the queue, alike on both of its stores. */
export function createBullEngine<Connection>(store: Store<Connection>, log: Logger): JobEngine {
  const queues = new Map<QueueName, Queue>()
  const workers: Worker[] = []
  const queueOf = (name: QueueName): Queue => {
    const known = queues.get(name)
    if (known) return known
    const made = new Queue(name, { connection: store.connection }, store.backend) as unknown as Queue
    made.on('error', (error) => log.warn({ err: error, queue: name }, 'a queue lost its connection'))
    queues.set(name, made)
    return made
  }
  return {
    store: store.name,
    add: async (queue, jobs) => {
      await queueOf(queue).addBulk(jobs.map(asBulk))
    },
    nextTurn: async (queue) => {
      const [next] = await queueOf(queue).getJobs(['prioritized'], 0, 0, true)
      return next?.opts.priority
    },
    work: (queue, options, perform) => {
      const worker = new Worker(
        queue,
        (job: Job, token?: string) => taken(job, token, perform),
        { connection: store.workerConnection, ...workerOptions(options) },
        store.backend,
      ) as unknown as Worker
      worker.on('error', (error) => log.warn({ err: error, queue }, 'a worker of jobs had trouble with its queue'))
      worker.on('stalled', (jobId) => log.warn({ queue, job: jobId }, 'a job was rescued from a process that died'))
      workers.push(worker)
    },
    schedule: async (queue, standing) => {
      const wanted = new Set(standing.map(({ name }) => name))
      for (const { key } of await queueOf(queue).getJobSchedulers())
        if (!wanted.has(key)) await queueOf(queue).removeJobScheduler(key)
      for (const { name, cron, timezone } of standing)
        await queueOf(queue)
          .upsertJobScheduler(name, { pattern: cron, tz: timezone }, { name, opts: { ...fate, priority: 1 } })
          .catch((error: unknown) => {
            if (!isMadeAlready(error)) throw error
          })
    },
    standing: async (queue) => {
      const schedulers = await queueOf(queue).getJobSchedulers()
      return schedulers.map(({ key, pattern, tz, next }) => ({
        name: key,
        cron: pattern ?? '',
        timezone: tz ?? 'UTC',
        next: next === undefined ? null : new Date(next).toISOString(),
      }))
    },
    counts: (queue) => countsOf(queueOf(queue)),
    list: async (queue, state, { offset, limit }) => {
      const jobs = await queueOf(queue).getJobs([...typesOf[state]], offset, offset + limit - 1, false)
      return jobs.flatMap((job) => (job ? [shown(job, state)] : []))
    },
    get: async (queue, id) => {
      const job = await queueOf(queue).getJob(id)
      return job ? shown(job, stateOf(await job.getState())) : undefined
    },
    retry: async (queue, id) => {
      const job = await queueOf(queue).getJob(id)
      if (!job || (await job.getState()) !== 'failed') return false
      try {
        await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true })
        return true
      } catch (error) {
        // Somebody else was faster between the two.
        if ((await job.getState()) !== 'failed') return false
        throw error
      }
    },
    pause: (queue) => queueOf(queue).pause(),
    resume: (queue) => queueOf(queue).resume(),
    clean: async (queue, state, olderThan) => {
      let removed = 0
      for (let found = batch; found === batch; removed += found)
        found = (await queueOf(queue).clean(olderThan, batch, state)).length
      return removed
    },
    countEnded: (queue, state, olderThan) => countEnded(queueOf(queue), state, Date.now() - olderThan),
    health: async () => ({
      status: (await store.answers()) ? 'up' : 'down',
      detail: { store: store.name, workers: workers.filter((worker) => worker.isRunning()).length },
    }),
    board: (names: readonly QueueName[]) => names.map(queueOf),
    close: async (patience) => {
      const drained = Promise.all(workers.map((worker) => worker.close()))
      const late = await Promise.race([drained.then(() => false), after(patience)])
      if (late) {
        log.warn('jobs did not end in time: they are taken up again by another process, or by the next start')
        await Promise.race([Promise.all(workers.map((worker) => worker.disconnect())), after(1_000)])
      }
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      await store.close()
    },
  }
}

const batch = 1_000

/** What becomes of work. When done it stays until a schedule has seen that nobody can deliver it again, when failed until an operator cleans it. */
const fate = {
  removeOnComplete: false,
  removeOnFail: false,
  // The log says where it failed; the dashboard is to show no path of the host.
  stackTraceLimit: 0,
  attempts: 3,
  backoff: { type: 'exponential', delay: 5_000, jitter },
}

function asBulk(job: NewJob) {
  return {
    name: job.name,
    data: job.data,
    opts: {
      ...fate,
      jobId: job.id,
      priority: job.turn,
      delay: job.delay,
      attempts: job.attempts,
      backoff: { type: 'exponential', delay: job.backoff, jitter },
    },
  }
}

function workerOptions({ concurrency, limit }: WorkOptions) {
  return {
    concurrency,
    ...(limit ? { limiter: limit } : {}),
    lockDuration,
    stalledInterval: lockDuration,
    maxStalledCount: deaths,
  }
}

async function taken(job: Job, token: string | undefined, perform: Perform): Promise<void> {
  const attempts = job.opts.attempts ?? 1
  const mine: TakenJob = { id: job.id ?? '', name: job.name, data: job.data, attempt: job.attemptsMade + 1, attempts }
  try {
    await perform(mine)
  } catch (error) {
    if (error instanceof HandedBack) {
      await job.moveToDelayed(Date.now(), token)
      throw new DelayedError()
    }
    if (error instanceof Hopeless) throw new UnrecoverableError(error.message)
    throw error
  }
}

/** What BullMQ tells apart and we do not: every job of ours that waits has a turn. */
const typesOf: Readonly<Record<JobState, readonly JobType[]>> = {
  waiting: ['waiting', 'prioritized'],
  active: ['active'],
  delayed: ['delayed'],
  completed: ['completed'],
  failed: ['failed'],
}

function stateOf(state: string): JobState {
  const [found] = Object.entries(typesOf).find(([, types]) => types.some((type) => type === state)) ?? []
  return (found as JobState | undefined) ?? 'waiting'
}

async function countsOf(queue: Queue): Promise<JobCounts> {
  const counts = await queue.getJobCounts()
  const sum = (state: JobState): number => typesOf[state].reduce((total, type) => total + (counts[type] ?? 0), 0)
  return {
    waiting: sum('waiting'),
    active: sum('active'),
    delayed: sum('delayed'),
    completed: sum('completed'),
    failed: sum('failed'),
    paused: await queue.isPaused(),
  }
}

function shown(job: Job, state: JobState): StoredJob {
  const time = (milliseconds: number | undefined): string | null =>
    milliseconds === undefined ? null : new Date(milliseconds).toISOString()
  return {
    id: job.id ?? '',
    name: job.name,
    state,
    data: told(job.data),
    attemptsMade: job.attemptsMade,
    attempts: job.opts.attempts ?? 1,
    failedReason: job.failedReason ?? null,
    addedAt: new Date(job.timestamp).toISOString(),
    startedAt: time(job.processedOn),
    endedAt: time(job.finishedOn),
  }
}

const after = (milliseconds: number): Promise<true> =>
  new Promise((resolve) => setTimeout(() => resolve(true), milliseconds).unref())

/** Another process that started in the same moment has made the next turn of a schedule: BullMQ's code for a job that is there. */
const isMadeAlready = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === -10
