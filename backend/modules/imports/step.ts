import { setImmediate } from 'node:timers/promises'
import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import type { Rights } from '../../kernel/rights.ts'
import type { Foreseen } from './foreseen.ts'
import type { Outcome } from './outcome.ts'
import { keepOutcome, type Place, tellProgress } from './progress.ts'

/** It ends here for good; the message is for who asked for it. */
export class Unable extends Error {}

/** Another runner goes on with it: this one was thought dead. */
export class Overtaken extends Error {}

/** An import while it runs. */
export interface Run {
  readonly db: Database
  readonly id: string
  readonly dryRun: boolean
  readonly signal: AbortSignal
  rightsOf(tenantId: string, userId: string): Promise<Rights | undefined>
  ctx: Ctx
  place: Place
  /** When its user was told last, and when his rights were asked for last. */
  told: number
  checked: number
  /** What was made because a row named it. A dry run would count it again with each chunk, as nothing of it stays. */
  readonly made: Set<string>
  readonly foreseen: Foreseen | null
}

/** What a step came to, and where the import stands after it. */
export interface Step {
  readonly outcome: Outcome
  readonly position: number
  readonly processed: number
}

const millisecondsOfProgress = 400
const rowsOfPreview = 10

/**
 * One commit: what is done, and how far the import is now. What cannot be done together is done each by itself, so that
 * only what is wrong is left out. A dry run keeps how far it is, and rolls back the rest.
 */
export async function step(run: Run, act: (tx: Tx, how: 'together' | 'each') => Promise<Step>): Promise<void> {
  run.signal.throwIfAborted()
  await recheck(run)
  // Sockets and requests of the same process have their turn.
  await setImmediate()
  try {
    await attempt(run, (tx) => act(tx, 'together'))
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    await attempt(run, (tx) => act(tx, 'each'))
  }
}

async function attempt(run: Run, act: (tx: Tx) => Promise<Step>): Promise<void> {
  const { db, ctx, dryRun } = run
  const would = dryRun ? await rolledBack(db, ctx, act) : null
  let keys: readonly string[] = []
  const next = await db.transaction(ctx, async (tx) => {
    const done = would ?? (await act(tx))
    keys = done.outcome.keys
    return keep(tx, run, done)
  })
  run.foreseen?.remember(keys)
  run.place = next
}

async function keep(tx: Tx, run: Run, { outcome, position, processed }: Step): Promise<Place> {
  const { id, place, dryRun } = run
  const kept = dryRun ? { ...outcome, effects: [], links: [] } : outcome
  const now = { ...place, position, effects: place.effects + kept.effects.length }
  const made = madeOf(run, outcome)
  if (!(await keepOutcome(tx, id, kept, { from: place, to: now, processed, made }))) throw new Overtaken()
  if (dryRun) await keepPreview(tx, id, outcome)
  if (performance.now() - run.told < millisecondsOfProgress) return now
  run.told = performance.now()
  await tellProgress(tx, id, 'progress')
  return now
}

function madeOf({ dryRun, made }: Run, outcome: Outcome): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type, name } of outcome.made) {
    const key = `${type} ${name.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '')}`
    if (dryRun && made.has(key)) continue
    if (dryRun) made.add(key)
    counts[type] = (counts[type] ?? 0) + 1
  }
  return counts
}

/** Does work in a transaction and takes all of it back. */
async function rolledBack<T>(db: Database, ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T> {
  const done: T[] = []
  const back = new Error('rolled back on purpose')
  try {
    await db.transaction(ctx, async (tx) => {
      done.push(await work(tx))
      throw back
    })
  } catch (error) {
    if (error !== back) throw error
  }
  const [result] = done
  if (result === undefined) throw back
  return result
}

async function keepPreview(tx: Tx, id: string, { previews }: Outcome): Promise<void> {
  const first = previews
    .toSorted((a, b) => a.line - b.line)
    .slice(0, rowsOfPreview)
    .map(({ line, action, json }) => ({ line, action, record: json === null ? null : JSON.parse(json) }))
  await tx.query(sql`
    update imports set preview = ${JSON.stringify(first)}::jsonb
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and preview is null`)
}

const believedFor = 1_000

/** Rights are those of now, also of an import that takes an hour. */
async function recheck(run: Run): Promise<void> {
  if (performance.now() - run.checked < believedFor) return
  run.checked = performance.now()
  const rights = await run.rightsOf(run.ctx.tenantId, run.ctx.actor.id ?? '')
  if (!rights) throw new Unable('Who asked for it is no longer an active user')
  run.ctx = { ...run.ctx, rights }
}
