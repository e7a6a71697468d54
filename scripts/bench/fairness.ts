import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { JobEngine } from '../../backend/adapters/jobs/jobs.port.ts'
import { openPostgresJobs } from '../../backend/adapters/jobs/postgres.ts'
import { openRedisJobs } from '../../backend/adapters/jobs/redis.ts'
import { createPostgres } from '../../backend/kernel/db/postgres.ts'
import type { DomainEvent } from '../../backend/kernel/events/event.ts'
import { newId } from '../../backend/kernel/ids.ts'
import type { Job } from '../../backend/kernel/jobs/job.ts'
import { createLogger } from '../../backend/kernel/log.ts'
import { jobsSubscription } from '../../backend/modules/jobs/enqueuer.ts'
import { type House, register } from './setup.ts'

/** How long a tenant with three jobs waits behind one with very many. */
export interface Fairness {
  readonly store: JobEngine['store']
  readonly waiting: number
  /** Jobs a second that came into the queue. */
  readonly added: number
  /** Seconds from the events to the end of the third job: when nothing else waits, and beside the others. */
  readonly alone: number
  readonly beside: number
}

/** A queue that the app has no work for: nobody takes from it but this. */
const queue = 'webhooks'
const concurrency = 10
const millisecondsOfWork = 20
const batch = 500

/** Measures the queue on PostgreSQL, and on Redis where there is one, by the subscription that fills it. */
export async function measureFairness(house: House, waiting: number, redisUrl?: string): Promise<Fairness[]> {
  const log = createLogger('error')
  const stores = [
    () => openPostgresJobs(house.workerUrl, log),
    ...(redisUrl ? [() => openRedisJobs(redisUrl, log)] : []),
  ]
  const measured: Fairness[] = []
  for (const open of stores) {
    const engine = open()
    try {
      measured.push(await measure(house, engine, waiting))
    } finally {
      await engine.close(5_000)
    }
  }
  return measured
}

async function measure(house: House, engine: JobEngine, waiting: number): Promise<Fairness> {
  if ((await engine.counts(queue)).waiting > 0) throw new Error(`the queue ${queue} must be empty`)
  const { tenant: few } = await register(house)
  const line = openLine(house, engine)
  const done = new Map<string, number>()
  const doneOf = (tenantId: string): number => done.get(tenantId) ?? 0
  const three = async (): Promise<number> => {
    const enough = doneOf(few.id) + 3
    const started = performance.now()
    await line.add(few.id, 3)
    while (doneOf(few.id) < enough) await sleep(2)
    return (performance.now() - started) / 1_000
  }
  engine.work(queue, { concurrency }, async ({ data }) => {
    await sleep(millisecondsOfWork)
    const { tenantId } = envelope.parse(data)
    done.set(tenantId, doneOf(tenantId) + 1)
  })
  try {
    // The first one makes what the queue needs.
    await three()
    const alone = await three()
    await engine.pause(queue)
    const started = performance.now()
    for (let count = 0; count < waiting; count += batch)
      await line.add(house.tenantId, Math.min(batch, waiting - count))
    const added = waiting / ((performance.now() - started) / 1_000)
    await engine.resume(queue)
    while (doneOf(house.tenantId) < 10 * concurrency) await sleep(10)
    const beside = await three()
    return { store: engine.store, waiting, added, alone, beside }
  } finally {
    await line.close()
    await engine.pause(queue)
    for (const board of engine.board([queue]))
      if (isClearable(board)) await board.obliterate({ force: true, count: 5_000 })
  }
}

interface Clearable {
  obliterate(options: { force: boolean; count: number }): Promise<void>
}

const isClearable = (board: unknown): board is Clearable =>
  typeof board === 'object' && board !== null && 'obliterate' in board

const envelope = z.looseObject({ tenantId: z.string() })

/** Events become jobs as in the app: by its subscription, with the turns of the tenants. */
function openLine(house: House, engine: JobEngine) {
  const db = createPostgres({
    appUrl: house.appUrl,
    workerUrl: house.workerUrl,
    log: createLogger('error'),
    appConnections: 1,
  })
  const job: Job<null> = {
    name: 'bench.wait',
    queue,
    data: z.null(),
    on: ['bench.asked'],
    ask: () => [{ data: null }],
    run: async () => {},
  }
  const { prepare, apply } = jobsSubscription({ engine, db, jobs: [job] })
  return {
    add: async (tenantId: string, count: number): Promise<void> => {
      const turns = await prepare(Array.from({ length: count }, () => asked(tenantId)))
      await db.workerTransaction(async (tx) => apply?.(tx, turns))
    },
    close: () => db.close(),
  }
}

const asked = (tenantId: string): DomainEvent => ({
  id: newId(),
  tenantId,
  tx: '0',
  seq: '0',
  lane: 'live',
  name: 'bench.asked',
  type: 'bench',
  recordId: null,
  version: null,
  occurredAt: new Date().toISOString(),
  actor: { id: null, type: 'system', name: 'Bench' },
  requestId: 'bench',
  operationId: newId(),
  ip: null,
  userAgent: null,
  changes: [],
  shares: [],
  record: null,
  data: {},
})
