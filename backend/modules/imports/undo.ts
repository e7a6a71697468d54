import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import { isId } from '../../kernel/ids.ts'
import { findPointed, type PointedBy } from './pointed.ts'
import { tellProgress } from './progress.ts'
import { writerOf } from './writers.ts'

/** What undoing needs. */
export interface UndoDeps {
  readonly db: Database
  readonly registry: Registry
  repository(type: string): Repository
}

/** How many records are undone in a commit. */
export const undoneACommit = 100

/**
 * Undoes the next records of an import, the last first, in one commit: what it made is deleted, what it changed gets back
 * what it had. Refused is only what somebody changed since, what others refer to by now, or what the caller may not write.
 * False when none is left.
 */
export function undoSome(deps: UndoDeps, ctx: Ctx, importId: string): Promise<boolean> {
  return deps.db.transaction(ctx, async (tx) => {
    const [row] = await tx.query<{ effects: number }>(sql`
      select effects from imports where tenant_id = ${ctx.tenantId} and id = ${importId} and status = 'undoing' for update`)
    if (!row) return false
    const effects = await tx.query<Done>(sql`
      select record_id as id, record_type as type, place, version, before from import_effects
      where tenant_id = ${ctx.tenantId} and import_id = ${importId} and refused is null
      order by place desc limit ${undoneACommit}`)
    let waiting = 0
    const counts = { deleted: 0, restored: 0, refused: 0 }
    const made = effects.flatMap(({ id, before }) => (before === null ? [id] : []))
    // Until this commits, nobody begins to refer to them.
    await tx.query(sql`select lock_merged(${ctx.tenantId}, ${made}::uuid[])`)
    const pointed = await pointedAmong(deps, tx, importId, effects)
    for (const effect of effects) {
      // Of those that were to go with it some are gone meanwhile, and some have turned out to stay.
      const again = pointed.get(effect.id) === 'rest' ? await pointedAmong(deps, tx, importId, [effect]) : pointed
      const by = again.get(effect.id)
      if (by === 'rest' && effect.place > -mostTurns * row.effects) {
        await putBehind(tx, importId, effect)
        waiting++
        continue
      }
      const reason = by === 'others' ? 'Other records refer to it' : await undoOne(deps, tx, effect)
      if (reason === null) counts[effect.before === null ? 'deleted' : 'restored']++
      else counts.refused++
      await settle(tx, importId, effect, reason)
    }
    const ended = effects.length < undoneACommit && waiting === 0
    await keep(tx, importId, counts, ended)
    if (ended) await tellProgress(tx, importId, 'undone')
    return !ended
  })
}

interface Done {
  readonly id: string
  readonly type: string
  readonly place: number
  readonly version: number
  readonly before: Values | null
}

/** Who refers to the records that were made. */
async function pointedAmong(
  { registry }: UndoDeps,
  tx: Tx,
  importId: string,
  effects: readonly Done[],
): Promise<ReadonlyMap<string, PointedBy>> {
  const pointed = new Map<string, PointedBy>()
  const made = Map.groupBy(
    effects.filter(({ before }) => before === null),
    ({ type }) => type,
  )
  for (const [type, group] of made) {
    const entity = registry.entities.get(type)
    const ids = group.map(({ id }) => id)
    for (const [id, by] of entity ? await findPointed(tx, registry.entities, importId, entity, ids) : [])
      pointed.set(id, by)
  }
  return pointed
}

/** So often a record lets those go first that refer to it. Each time it goes to the end, below zero. */
const mostTurns = 20

async function putBehind(tx: Tx, importId: string, { id }: Done): Promise<void> {
  await tx.query(sql`
    update import_effects e set place = least(0, (
      select min(l.place) from import_effects l where l.tenant_id = ${tx.ctx.tenantId} and l.import_id = ${importId})) - 1
    where e.tenant_id = ${tx.ctx.tenantId} and e.import_id = ${importId} and e.record_id = ${id}`)
}

/** Why it stays as it is; null when it is undone. What is deleted already needs nothing. */
async function undoOne({ db, repository }: UndoDeps, tx: Tx, effect: Done): Promise<string | null> {
  const { id, type, version, before } = effect
  const records = repository(type)
  const writer = writerOf(records)
  try {
    await db.transaction(tx.ctx, async (nested) => {
      if (before === null) return void (await writer.remove(nested, id, [version]))
      const now = JSON.parse((await records.get(nested, id)).json)
      await writer.update(nested, id, backTo(before, now), [version], idsIn(before))
    })
    return null
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    if (problem.status === 404 && before === null) return null
    return reasons[problem.status] ?? problem.message
  }
}

const reasons: Readonly<Record<number, string>> = {
  403: 'Your role may not change it',
  404: 'It has been deleted since',
  412: 'It has been changed since',
}

/** The ids that a record held: of what it referred to among them. */
const idsIn = (before: Values): string[] =>
  Object.values(before)
    .flat()
    .map((value) => (isObject(value) ? value.id : value))
    .filter(isId)

/** Objects are merged by a change: parts that were not there before are cleared. */
function backTo(before: Values, now: Values): Values {
  return Object.fromEntries(
    Object.entries(before).map(([member, value]) => {
      const current = now[member]
      if (!isObject(current) || !isObject(value)) return [member, value]
      const cleared = Object.fromEntries(Object.keys(current).map((part) => [part, null]))
      return [member, { ...cleared, ...value }]
    }),
  )
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

async function settle(tx: Tx, importId: string, { id }: Done, reason: string | null): Promise<void> {
  const where = sql`where tenant_id = ${tx.ctx.tenantId} and import_id = ${importId} and record_id = ${id}`
  await tx.query(
    reason === null
      ? sql`delete from import_effects ${where}`
      : sql`update import_effects set refused = ${reason} ${where}`,
  )
}

const refusalsShown = 100

async function keep(
  tx: Tx,
  importId: string,
  { deleted, restored, refused }: { deleted: number; restored: number; refused: number },
  ended: boolean,
): Promise<void> {
  await tx.query(sql`
    update imports i set updated_at = now(), status = case when ${ended} then 'undone' else i.status end,
      undo = jsonb_build_object(
        'deleted', coalesce((i.undo ->> 'deleted')::integer, 0) + ${deleted}::integer,
        'restored', coalesce((i.undo ->> 'restored')::integer, 0) + ${restored}::integer,
        'refused', coalesce((i.undo ->> 'refused')::integer, 0) + ${refused}::integer,
        'refusals', (select coalesce(jsonb_agg(jsonb_build_object('type', e.record_type, 'id', e.record_id, 'reason', e.refused) order by e.place), '[]')
          from (select * from import_effects where tenant_id = ${tx.ctx.tenantId} and import_id = ${importId} and refused is not null
                order by place limit ${refusalsShown}) e))
    where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${importId}`)
}
