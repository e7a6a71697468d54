import sql, { raw } from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { type Entity, isNeverNull } from '../../kernel/entity/define.ts'
import type { Stored } from '../../kernel/entity/repository.ts'
import { unresolved } from '../../kernel/entity/write-values.ts'
import type { Problem } from '../../kernel/errors.ts'
import { parsePart } from '../../kernel/http/body.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import type { Draft, RowError } from './draft.ts'
import type { Foreseen } from './foreseen.ts'
import type { Plan } from './mapping.ts'
import { findMatches, type Match, matchKey } from './matching.ts'
import { addOutcome, emptyOutcome, type Outcome, type Preview } from './outcome.ts'
import { type PointingDeps, resolvePointers } from './pointing.ts'
import type { Writer } from './writers.ts'

/** Gives deals a line item of one for each product, in the transaction of `tx`. */
export type AddLines = (tx: Tx, lines: readonly { dealId: string; productIds: readonly string[] }[]) => Promise<void>

/** What writing rows needs. */
export interface ChunkDeps extends PointingDeps {
  readonly db: Database
  readonly plan: Plan
  readonly onDuplicate: 'create' | 'skip' | 'update'
  readonly writer: Writer
  readonly addLines: AddLines
  /** Of a dry run: what rows before would have made. */
  readonly foreseen: Foreseen | null
}

/** Writes rows in the transaction of `tx`, each by itself, so that only the wrong ones are left out. */
export async function writeEach(tx: Tx, deps: ChunkDeps, drafts: readonly Draft[]): Promise<Outcome> {
  const outcome = emptyOutcome()
  for (const draft of drafts) addOutcome(outcome, await writeAlone(tx, deps, draft))
  return outcome
}

async function writeAlone(tx: Tx, deps: ChunkDeps, draft: Draft): Promise<Outcome> {
  try {
    return await deps.db.transaction(tx.ctx, (nested) => writeTogether(nested, deps, [draft]))
  } catch (error) {
    const problem = asProblem(error)
    if (!problem || problem.status >= 500) throw error
    return failedAlone(draft, problem)
  }
}

function failedAlone(draft: Draft, problem: Problem): Outcome {
  const outcome = emptyOutcome()
  draft.errors.push(...errorsOf(draft, problem))
  fail(outcome, draft)
  return outcome
}

/**
 * Writes rows in the transaction of `tx` all at once. Throws what the database refuses of one of them; what is seen before
 * is left out and told.
 */
export async function writeTogether(tx: Tx, deps: ChunkDeps, drafts: readonly Draft[]): Promise<Outcome> {
  const outcome = emptyOutcome()
  await resolvePointers(tx, deps, drafts, outcome)
  for (const batch of distinct(deps.plan, drafts)) {
    const matches = await findMatches(tx, deps.plan, batch)
    const fresh: Draft[] = []
    for (const draft of batch) {
      const match = matches.get(draft)
      if (draft.errors.length > 0) fail(outcome, draft)
      else if (match && deps.onDuplicate === 'skip') skip(outcome, draft, match)
      else if (match) await change(tx, deps, draft, match, outcome)
      else if (deps.foreseen?.isMade(draft)) meet(deps, draft, outcome)
      else if (deps.plan.matchBy.includes('id')) refuseUnknown(outcome, draft)
      else fresh.push(draft)
    }
    await create(tx, deps, fresh, outcome)
  }
  return outcome
}

/** Rows of one chunk that are the same record follow each other, as the second must find what the first has made. */
function distinct(plan: Plan, drafts: readonly Draft[]): Draft[][] {
  const batches: Draft[][] = [[]]
  let seen = new Set<string>()
  for (const draft of drafts) {
    const key = matchKey(plan, draft)
    if (key !== null && seen.has(key)) {
      batches.push([])
      seen = new Set()
    }
    if (key !== null) seen.add(key)
    batches.at(-1)?.push(draft)
  }
  return batches
}

function skip(outcome: Outcome, draft: Draft, match: Match): void {
  outcome.skipped++
  outcome.previews.push({ line: draft.line, action: 'skip', json: JSON.stringify(match.before) })
}

/** A row of a record that a row before would have made, and that is not there now. */
function meet({ plan, onDuplicate }: ChunkDeps, draft: Draft, outcome: Outcome): void {
  const values = onDuplicate === 'skip' ? null : plan.entity.patchSchema.safeParse(draft.values)
  draft.errors.push(
    ...(values?.error?.issues ?? []).map((issue) => errorOf(draft, issue.path.join('.'), issue.message)),
  )
  if (draft.errors.length > 0) fail(outcome, draft)
  else {
    outcome[values ? 'updated' : 'skipped']++
    outcome.previews.push({ line: draft.line, action: values ? 'update' : 'skip', json: null })
  }
}

function refuseUnknown(outcome: Outcome, draft: Draft): void {
  const column = draft.columnOf.get('id') ?? 'id'
  draft.errors.push({ line: draft.line, column, value: draft.id ?? '', reason: 'is the id of no record that is there' })
  fail(outcome, draft)
}

async function change(tx: Tx, deps: ChunkDeps, draft: Draft, match: Match, outcome: Outcome): Promise<void> {
  const { plan, writer } = deps
  const values = parsePart(plan.entity.patchSchema, draft.values) as Record<string, unknown>
  const changed = await writer.update(tx, match.id, values, null)
  const before = Object.fromEntries(Object.keys(values).map((member) => [member, match.before[member] ?? null]))
  outcome.updated++
  outcome.keys.push(...(deps.foreseen?.keysOf(draft) ?? []))
  if (changed.changed) outcome.effects.push({ type: plan.entity.type, id: match.id, version: changed.version, before })
  linkLater(outcome, draft, match.id)
  outcome.previews.push(previewOf(draft, 'update', changed))
  await addLines(tx, deps, [{ draft, id: match.id }], outcome)
}

async function create(tx: Tx, deps: ChunkDeps, drafts: readonly Draft[], outcome: Outcome): Promise<void> {
  const { plan, writer } = deps
  const records = drafts.flatMap((draft) => {
    const values = plan.entity.createSchema.safeParse(draft.values)
    draft.errors.push(...(deps.foreseen?.taken(draft) ?? []))
    if (values.success && draft.errors.length === 0) return [{ draft, values: evened(plan, values.data) }]
    draft.errors.push(
      ...(values.error?.issues ?? []).map((issue) => errorOf(draft, issue.path.join('.'), issue.message)),
    )
    fail(outcome, draft)
    return []
  })
  if (records.length === 0) return
  const made = await writer.createMany(tx, records)
  const created: { draft: Draft; id: string }[] = []
  for (const [index, { draft }] of records.entries()) {
    const one = made[index]
    if (!one) throw new Error('a create of many gave no verdict on one')
    if ('missing' in one) {
      draft.errors.push(...errorsOf(draft, unresolved(one.missing)))
      fail(outcome, draft)
      continue
    }
    outcome.created++
    outcome.keys.push(...(deps.foreseen?.keysOf(draft) ?? []))
    outcome.effects.push({ type: plan.entity.type, id: one.id, version: one.version, before: null })
    linkLater(outcome, draft, one.id)
    outcome.previews.push(previewOf(draft, 'create', one))
    created.push({ draft, id: one.id })
  }
  await addLines(tx, deps, created, outcome)
}

/**
 * Rows that fill different cells would each be a statement of their own: what a column could have filled is null, or what
 * a create would give it.
 */
function evened({ entity, columns }: Plan, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const even: Record<string, unknown> = { ...values }
  for (const { target } of columns) {
    const member = target.kind === 'id' ? null : target.member
    if (member === null || even[member] !== undefined) continue
    const absent = absentOf(entity, member)
    if (absent !== undefined) even[member] = absent
  }
  return even
}

function absentOf(entity: Entity, member: string): unknown {
  const field = entity.all[member]
  if (!field || field.absent) return undefined
  return field.default ?? (isNeverNull(field) ? undefined : null)
}

function linkLater(outcome: Outcome, draft: Draft, recordId: string): void {
  for (const { target, column, text } of draft.pointers) {
    if (!target.later || target.member === null) continue
    const { member, by, path } = target
    outcome.links.push({ line: draft.line, recordId, member, by, value: text, column: column || path })
  }
}

async function addLines(
  tx: Tx,
  deps: ChunkDeps,
  made: readonly { draft: Draft; id: string }[],
  outcome: Outcome,
): Promise<void> {
  const lines = made.flatMap(({ draft: { productIds }, id }) =>
    productIds.length > 0 ? [{ dealId: id, productIds }] : [],
  )
  if (lines.length === 0) return
  const { entity } = deps.plan
  await deps.addLines(tx, lines)
  const after = await tx.query<{ id: string; version: number }>(sql`
    select id, version from ${raw(entity.table)}
    where tenant_id = ${tx.ctx.tenantId} and id = any(${lines.map(({ dealId }) => dealId)}::uuid[])`)
  for (const { id, version } of after) {
    const known = outcome.effects.findLastIndex((effect) => effect.id === id)
    const effect = outcome.effects[known] ?? { type: entity.type, id, before: {} }
    outcome.effects.splice(known < 0 ? outcome.effects.length : known, known < 0 ? 0 : 1, { ...effect, version })
  }
}

function fail(outcome: Outcome, draft: Draft): void {
  outcome.failed++
  outcome.errors.push(...draft.errors)
  outcome.previews.push({ line: draft.line, action: 'fail', json: null })
}

const previewOf = (draft: Draft, action: 'create' | 'update', { json }: Stored): Preview => ({
  line: draft.line,
  action,
  json,
})

/** A problem in the words of the table: the column that filled the member, and what stands in it. */
const errorsOf = (draft: Draft, problem: Problem): RowError[] =>
  problem.errors && problem.errors.length > 0
    ? problem.errors.map(({ path, message }) => errorOf(draft, path, message))
    : [{ line: draft.line, column: '', value: '', reason: problem.message }]

function errorOf(draft: Draft, path: string, reason: string): RowError {
  const [member = ''] = path.split('.')
  const column = draft.columnOf.get(path) ?? draft.columnOf.get(member) ?? path
  return { line: draft.line, column, value: draft.cellOf(column), reason }
}
