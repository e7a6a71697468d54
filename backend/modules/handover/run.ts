import { isDeepStrictEqual } from 'node:util'
import sql from 'sql-template-tag'
import { system } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Field } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Work } from '../../kernel/jobs/job.ts'
import { workCtx } from '../../kernel/jobs/work-ctx.ts'
import { countHeld, type Held, heldMembers, lockHeld, readHandOver } from './hand-over.queries.ts'
import type { HandOver } from './hand-over.ts'

/** What handing over is done with. */
export interface HandOverDeps {
  readonly db: Database
  readonly entities: ReadonlyMap<string, Entity>
  repository(type: string): Repository
}

/** One run of a hand-over. */
export type HandOverWork = Work<{ handOverId: string }>

const atOnce = 100

/**
 * Gives all that somebody looked after to another, a hundred records a transaction. What has gone over is no longer his:
 * after a crash it goes on with what is left, and nothing is lost or counted twice.
 */
export async function runHandOver(deps: HandOverDeps, work: HandOverWork): Promise<void> {
  const { actor, signal } = work
  const ctx = workCtx(work, { actor, lane: 'bulk' })
  const tx = deps.db.tenant(ctx)
  const handOver = await readHandOver(tx, work.data.handOverId)
  if (!handOver || handOver.status === 'completed' || handOver.status === 'failed') return
  const held = heldMembers(deps.entities)
  if (handOver.total === null) await begin(tx, handOver, held)
  for (const each of held) {
    for (let moved = 0; moved > 0 || (await countHeld(tx, each, handOver.fromId)) > 0; ) {
      signal.throwIfAborted()
      moved = await deps.db.transaction(ctx, (some) => moveSome(some, deps, each, handOver))
    }
  }
  await deps.db.transaction(ctx, (last) => end(last, handOver.id, null))
}

/** Ends a hand-over that could not be finished, and tells who asked; asked for again, it goes on with what is left. */
export async function failHandOver(db: Database, work: HandOverWork): Promise<void> {
  const ctx = workCtx(work, { actor: system })
  await db.transaction(ctx, (tx) => end(tx, work.data.handOverId, 'It could not be finished; ask for it again'))
}

async function begin(tx: Tx, { id, fromId }: HandOver, held: readonly Held[]): Promise<void> {
  let total = 0
  for (const each of held) total += await countHeld(tx, each, fromId)
  await tx.query(sql`
    update hand_overs set status = 'running', total = ${total}, updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and total is null`)
}

async function moveSome(tx: Tx, deps: HandOverDeps, held: Held, { id, fromId, toId }: HandOver): Promise<number> {
  const { entity, member, field } = held
  const rows = await lockHeld(tx, held, fromId, atOnce)
  if (rows.length === 0) return 0
  const above = entity.type === 'user' ? await managerOf(tx, fromId) : null
  const exchanged = rows.map(({ id: recordId, value }) => ({
    id: recordId,
    from: value,
    // Nobody reports to himself: who takes over reports to whom the one who leaves did.
    to: entity.type === 'user' && recordId === toId ? above : successor(field, value, fromId, toId),
  }))
  const done = await deps.repository(entity.type).exchange(tx, member, exchanged, { handOverId: id })
  if (done.length < rows.length) throw new Error(`some ${entity.path} could not be handed over`)
  await tx.query(sql`
    update hand_overs set updated_at = now(),
      moved = moved || jsonb_build_object(${entity.type}::text, coalesce((moved ->> ${entity.type})::integer, 0) + ${done.length}::integer)
    where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  return rows.length
}

/** What a member holds with the successor in the place of who leaves, each once. */
function successor(field: Field, value: unknown, fromId: string, toId: string): unknown {
  if (!field.many || !Array.isArray(value)) return toId
  const others = value.map((id: unknown) => (id === fromId ? toId : id))
  return others.filter((id, index) => others.findIndex((other) => isDeepStrictEqual(other, id)) === index)
}

async function managerOf(tx: Tx, userId: string): Promise<string | null> {
  const [row] = await tx.query(sql`
    select manager_id as id from users where tenant_id = ${tx.ctx.tenantId} and id = ${userId}`)
  return row?.id ?? null
}

async function end(tx: Tx, id: string, failure: string | null): Promise<void> {
  const [row] = await tx.query(sql`
    update hand_overs h set status = ${failure === null ? 'completed' : 'failed'}, failure = ${failure}::text,
      completed_at = now(), updated_at = now()
    from users u
    where h.tenant_id = ${tx.ctx.tenantId} and h.id = ${id} and h.status in ('queued', 'running')
      and u.tenant_id = h.tenant_id and u.id = h.from_id
    returning h.from_id, h.to_id, h.moved, h.created_by_id, u.name`)
  if (!row) return
  await appendEvents(tx, [
    {
      name: failure === null ? 'user.handed_over' : 'user.hand_over_failed',
      type: 'user',
      recordId: row.from_id,
      record: { id: row.from_id, name: row.name },
      data: { handOverId: id, toId: row.to_id, moved: row.moved, askedById: row.created_by_id },
    },
  ])
}
