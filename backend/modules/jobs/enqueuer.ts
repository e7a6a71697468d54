import sql from 'sql-template-tag'
import { type JobEngine, lastTurn, type NewJob } from '../../adapters/jobs/jobs.port.ts'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import { matches } from '../../kernel/events/bus.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import type { Asked, Job, QueueName } from '../../kernel/jobs/job.ts'

/**
 * The subscription that turns events into jobs. It adds them to the queue outside of its transaction, under ids made of
 * the events', so that a batch delivered twice adds nothing twice.
 */
export function jobsSubscription(deps: {
  engine: JobEngine
  db: Database
  jobs: readonly Job[]
}): Subscription<readonly Turn[]> {
  const { engine, db, jobs } = deps
  return {
    name: 'jobs',
    patterns: [...new Set(jobs.flatMap((job) => job.on))],
    prepare: async (batch) => {
      const turns: Turn[] = []
      for (const [queue, pieces] of Map.groupBy(piecesOf(batch, jobs), (piece) => piece.job.queue)) {
        const line = await lineOf(engine, db, queue, [...new Set(pieces.map((piece) => piece.event.tenantId))])
        await engine.add(
          queue,
          pieces.map((piece) => newJob(piece, line)),
        )
        for (const [tenantId, turn] of line.turns) turns.push({ tenantId, queue, turn })
      }
      return turns
    },
    apply: noteTurns,
  }
}

interface Piece {
  readonly id: string
  readonly event: DomainEvent
  readonly job: Job
  readonly asked: Asked<unknown>
}

function piecesOf(batch: readonly DomainEvent[], jobs: readonly Job[]): Piece[] {
  return batch.flatMap((event) =>
    jobs
      .filter((job) => job.on.some((pattern) => matches(pattern, event.name)))
      .flatMap((job) =>
        job.ask(event).map((asked, index) => ({
          id: index === 0 ? `${event.id}-${job.name}` : `${event.id}-${job.name}-${index}`,
          event,
          job,
          asked,
        })),
      ),
  )
}

/** Who stands where in a queue. */
interface Line {
  /** The turn that is being served: who comes now stands right behind it. */
  readonly served: number
  readonly turns: Map<string, number>
}

/** Where the line begins, and the last turn of each of these tenants in it; a queue in which nothing waits begins anew. */
async function lineOf(engine: JobEngine, db: Database, queue: QueueName, tenants: readonly string[]): Promise<Line> {
  const served = await engine.nextTurn(queue)
  if (served === undefined) return { served: 1, turns: new Map() }
  const rows = await db.worker.query<{ tenantId: string; turn: number }>(sql`
    select tenant_id as "tenantId", turn from job_turns where queue = ${queue} and tenant_id = any(${tenants}::uuid[])`)
  return { served, turns: new Map(rows.map(({ tenantId, turn }) => [tenantId, turn])) }
}

/** So many turns go before a job of low priority. */
const patience = 1_000
const attempts = 5
const backoff = 1_000

function newJob({ id, event, job, asked }: Piece, line: Line): NewJob {
  return {
    id,
    name: job.name,
    data: {
      tenantId: event.tenantId,
      actor: event.actor,
      requestId: event.requestId,
      operationId: event.operationId,
      data: asked.data,
    },
    turn: turnOf(asked, event.tenantId, line),
    delay: asked.delay ?? 0,
    attempts: job.attempts ?? attempts,
    backoff: job.backoff ?? backoff,
  }
}

function turnOf({ priority = 'normal' }: Asked<unknown>, tenantId: string, line: Line): number {
  if (priority === 'high') return 1
  const turn = Math.max(line.served, line.turns.get(tenantId) ?? 0) + 1
  if (priority === 'low') return Math.min(turn + patience, lastTurn)
  line.turns.set(tenantId, turn)
  return Math.min(turn, lastTurn)
}

interface Turn {
  readonly tenantId: string
  readonly queue: QueueName
  readonly turn: number
}

async function noteTurns(tx: WorkerTx, turns: readonly Turn[]): Promise<void> {
  if (turns.length === 0) return
  await tx.query(sql`
    insert into job_turns (tenant_id, queue, turn)
    select t."tenantId", t.queue, t.turn
    from jsonb_to_recordset(${JSON.stringify(turns)}::jsonb) as t("tenantId" uuid, queue text, turn integer)
    order by 1, 2
    on conflict (tenant_id, queue) do update set turn = excluded.turn`)
}
