import sql, { type Sql } from 'sql-template-tag'
import type { Ctx, Operator } from '../context.ts'
import type { Database, Row, WorkerTx } from '../db/database.ts'
import { conflict, Problem, rule } from '../errors.ts'
import type { Key } from './idempotency-key.ts'
import { asProblem } from './problem.ts'
import { type Answer, JsonText } from './route.ts'

/**
 * Does a piece of work once for a key: the effect and the answer commit together, so that a process that dies leaves
 * neither a blocked key nor a second record. Answers 2xx and 422 are kept, others not.
 */
export const once = (db: Database, ctx: Ctx, key: Key, work: (ctx: Ctx) => Promise<Answer>): Promise<Answer> =>
  settle(shelfOf(ctx, key), db.tenant(ctx), (settled) => db.transaction(ctx, (tx) => settled(tx, () => work(tx.ctx))))

/**
 * The same for a platform operator. What he does acts on the queues, which no transaction of ours holds: a process that
 * dies between the effect and its key does it again when asked again, and each of these may be done again.
 */
export const onceForOperator = (
  db: Database,
  operator: Operator,
  key: Key,
  work: () => Promise<Answer>,
): Promise<Answer> =>
  settle(shelfOfOperator(operator, key), db.worker, (settled) => db.workerTransaction((tx) => settled(tx, work)))

/** Where the answers to somebody's keys are kept. */
interface Shelf {
  readonly lock: string
  readonly find: Sql
  keep(answer: Answer): Sql
}

async function settle(
  shelf: Shelf,
  alone: WorkerTx,
  open: (settled: (tx: WorkerTx, work: () => Promise<Answer>) => Promise<Answer>) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await open(async (tx, work) => {
      const [gate] = await tx.query(sql`select pg_try_advisory_xact_lock(hashtextextended(${shelf.lock}, 0)) as free`)
      if (!gate?.free) throw conflict('A request with this Idempotency-Key is still in flight')
      const [kept] = await tx.query(shelf.find)
      if (kept) return answerAgain(kept)
      const answer = await work()
      if (answer.status < 300) await tx.query(shelf.keep(answer))
      return answer
    })
  } catch (error) {
    const problem = asProblem(error)
    if (problem?.status === 422 && problem.code !== 'IDEMPOTENCY_KEY_REUSED') {
      const { code, message: detail, errors, extra } = problem
      await alone.query(shelf.keep({ status: 422, body: { problem: { code, detail, errors, extra } } }))
    }
    throw error
  }
}

/** The name of the advisory lock that a request holds while it is in flight. */
export const lockOf = (ctx: Ctx, key: Key): string =>
  `${ctx.tenantId} ${ctx.actor.id} ${key.method} ${key.path} ${key.key}`

/** The answer that was kept, marked as replayed. */
export function replayed(kept: {
  status: number
  headers: Readonly<Record<string, string>>
  body: string | null
}): Answer {
  if (kept.status === 422) {
    const { problem } = JSON.parse(kept.body ?? '{}')
    const { code, detail, errors, extra } = problem
    throw new Problem(422, code, detail, { errors, extra, headers: { 'Idempotent-Replayed': 'true' } })
  }
  return {
    status: kept.status,
    headers: { ...kept.headers, 'Idempotent-Replayed': 'true' },
    ...(kept.body === null ? {} : { body: new JsonText(kept.body) }),
  }
}

function answerAgain(kept: Row): Answer {
  if (!kept.same) throw rule('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body')
  return replayed({ status: kept.status, headers: kept.headers, body: kept.body })
}

const shelfOf = (ctx: Ctx, key: Key): Shelf => ({
  lock: lockOf(ctx, key),
  find: sql`
    select status, headers, body, body_hash = ${key.bodyHash} as same from idempotency_keys
    where tenant_id = ${ctx.tenantId} and actor_id = ${ctx.actor.id} and method = ${key.method} and path = ${key.path} and key = ${key.key}`,
  keep: (answer) => sql`
    insert into idempotency_keys (tenant_id, actor_id, method, path, key, body_hash, status, headers, body)
    values (${ctx.tenantId}, ${ctx.actor.id}, ${key.method}, ${key.path}, ${key.key}, ${key.bodyHash}, ${answer.status},
            ${JSON.stringify(answer.headers ?? {})}, ${textOf(answer)})
    on conflict do nothing`,
})

const shelfOfOperator = ({ id }: Operator, key: Key): Shelf => ({
  lock: `operator ${id} ${key.method} ${key.path} ${key.key}`,
  find: sql`
    select status, headers, body, body_hash = ${key.bodyHash} as same from operator_idempotency_keys
    where operator_id = ${id} and method = ${key.method} and path = ${key.path} and key = ${key.key}`,
  keep: (answer) => sql`
    insert into operator_idempotency_keys (operator_id, method, path, key, body_hash, status, headers, body)
    values (${id}, ${key.method}, ${key.path}, ${key.key}, ${key.bodyHash}, ${answer.status},
            ${JSON.stringify(answer.headers ?? {})}, ${textOf(answer)})
    on conflict do nothing`,
})

function textOf({ body }: Answer): string | null {
  if (body === undefined) return null
  return body instanceof JsonText ? body.json : JSON.stringify(body)
}
