import { createHash } from 'node:crypto'
import sql from 'sql-template-tag'
import type { Ctx } from '../context.ts'
import type { Database, Tx } from '../db/database.ts'
import { conflict, invalidMember, Problem, rule } from '../errors.ts'
import { asProblem } from './problem.ts'
import { type Answer, JsonText } from './route.ts'

/** An `Idempotency-Key` with its scope: tenant and actor come from the context. */
export interface Key {
  readonly key: string
  readonly method: string
  readonly path: string
  readonly bodyHash: Buffer
}

/** Reads the header; undefined when it was not sent. The body is recognised by its bytes. */
export function readKey(header: string | undefined, method: string, path: string, body: unknown): Key | undefined {
  if (header === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(header))
    throw invalidMember('Idempotency-Key', 'must be 1 to 255 visible ASCII characters')
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  return { key: header, method, path, bodyHash: createHash('sha256').update(bytes).digest() }
}

/**
 * Does a piece of work once for a key: the effect and the answer commit together, so that a process that dies leaves
 * neither a blocked key nor a second record. Answers 2xx and 422 are kept, others not.
 */
export async function once(db: Database, ctx: Ctx, key: Key, work: (ctx: Ctx) => Promise<Answer>): Promise<Answer> {
  try {
    return await db.transaction(ctx, async (tx) => {
      const [gate] = await tx.query(
        sql`select pg_try_advisory_xact_lock(hashtextextended(${lockOf(tx.ctx, key)}, 0)) as free`,
      )
      if (!gate?.free) throw conflict('A request with this Idempotency-Key is still in flight')
      const known = await find(tx, key)
      if (known) return known
      const answer = await work(tx.ctx)
      if (answer.status < 300) await keep(tx, key, answer)
      return answer
    })
  } catch (error) {
    const problem = asProblem(error)
    if (problem?.status === 422 && problem.code !== 'IDEMPOTENCY_KEY_REUSED') {
      const { code, message: detail, errors, extra } = problem
      await keep(db.tenant(ctx), key, { status: 422, body: { problem: { code, detail, errors, extra } } })
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

async function find(tx: Tx, key: Key): Promise<Answer | undefined> {
  const [kept] = await tx.query(sql`
    select status, headers, body, body_hash = ${key.bodyHash} as same from idempotency_keys
    where tenant_id = ${tx.ctx.tenantId} and actor_id = ${tx.ctx.actor.id} and method = ${key.method} and path = ${key.path} and key = ${key.key}`)
  if (!kept) return undefined
  if (!kept.same) throw rule('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body')
  return replayed({ status: kept.status, headers: kept.headers, body: kept.body })
}

async function keep(tx: Tx, key: Key, answer: Answer): Promise<void> {
  const body =
    answer.body === undefined ? null : answer.body instanceof JsonText ? answer.body.json : JSON.stringify(answer.body)
  await tx.query(sql`
    insert into idempotency_keys (tenant_id, actor_id, method, path, key, body_hash, status, headers, body)
    values (${tx.ctx.tenantId}, ${tx.ctx.actor.id}, ${key.method}, ${key.path}, ${key.key}, ${key.bodyHash}, ${answer.status},
            ${JSON.stringify(answer.headers ?? {})}, ${body})
    on conflict do nothing`)
}
