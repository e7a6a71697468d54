import { membersOf } from '../../entities/scoring-rules/rule-fields.ts'
import { type Scored, scores } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import { type Ctx, system, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { Rights } from '../../kernel/rights.ts'
import { type Counted, lockRecords, readRecords, readRules } from './score.queries.ts'
import { type Explanation, explain, type Rule } from './score.ts'

export interface ScoringDeps {
  readonly db: Database
  repository(type: string): Repository
}

/**
 * Why a record has its score. Without rules it is what somebody set. Of what the caller's role hides he is told no more
 * than what it comes to, which the score tells anyway.
 */
export async function explainScore(tx: Tx, records: Repository, type: Scored, id: string): Promise<Explanation> {
  const { rights } = tx.ctx
  refuseUnseen(rights, type, [scores[type]])
  // Whether the caller may read it.
  await records.get(tx, id, ['id'])
  const rules = await readRules(tx, type)
  const [record] = await readRecords(tx, records.entity, type, rules, { ids: [id] })
  if (rules.length > 0 && record) return seenOf(rights, type, rules, explain(rules, record, new Date()))
  const score = record ? storedScore(record, type) : 0
  const set = { id: null, name: 'Set by hand', points: score, why: 'there are no scoring rules' }
  return { score, rules: score === 0 ? [] : [set] }
}

function seenOf(rights: Rights, type: Scored, rules: readonly Rule[], whole: Explanation): Explanation {
  const isHidden = ({ field }: Rule) =>
    membersOf(type, field).some((part) => rights.fields?.(part.type)?.hidden.has(part.member))
  const hidden = new Set(rules.filter(isHidden).map(({ id }) => id))
  const unseen = whole.rules.filter(({ id }) => id !== null && hidden.has(id))
  if (unseen.length === 0) return whole
  const points = unseen.reduce((sum, reason) => sum + reason.points, 0)
  const rest = { id: null, name: 'Others', points, why: 'your role does not see what it rests on' }
  return { ...whole, rules: [...whole.rules.filter((reason) => !unseen.includes(reason)), rest] }
}

/**
 * Works out the scores of records and writes those that differ: a version and an event of each, by the system. The records
 * are locked first and read then, so that of two who do this at once the second sees what the first has seen changed.
 */
export async function writeScores(deps: ScoringDeps, ctx: Ctx, type: Scored, ids: readonly string[]): Promise<number> {
  const records = deps.repository(type)
  let written = 0
  for (let start = 0; start < ids.length; start += commitEvery) {
    const some = ids.slice(start, start + commitEvery)
    await deps.db.transaction(ctx, async (tx) => {
      await lockRecords(tx, records.entity, some)
      const rules = await readRules(tx, type)
      if (rules.length === 0) return
      for (const record of await readRecords(tx, records.entity, type, rules, { ids: some })) {
        if (!differs(rules, record, type)) continue
        await records.derive(
          tx,
          record.id,
          { [scores[type]]: scoreOf(rules, record) },
          { verb: 'scored', scope: 'all' },
        )
        written++
      }
    })
  }
  return written
}

const commitEvery = 100

/** How all records are gone through. */
interface Walk {
  readonly signal: AbortSignal
  readonly dryRun?: boolean
  /** Where it begins; with the first record when absent. */
  readonly after?: string
  /** Told of each place that it has passed. */
  passed?(id: string): Promise<void>
}

/** Works out the scores of all records of a tenant. Without a lock at first: only what differs is looked at again. */
export async function writeAllScores(
  deps: ScoringDeps,
  ctx: Ctx,
  type: Scored,
  { signal, dryRun = false, after = firstId, passed }: Walk,
): Promise<number> {
  const { entity } = deps.repository(type)
  const tx = deps.db.tenant(ctx)
  const rules = await readRules(tx, type)
  let differing = 0
  for (let place = after; rules.length > 0; ) {
    signal.throwIfAborted()
    const page = await readRecords(tx, entity, type, rules, { after: place, limit: pageSize })
    const ids = page.filter((record) => differs(rules, record, type)).map(({ id }) => id)
    differing += dryRun ? ids.length : await writeScores(deps, ctx, type, ids)
    const last = page.at(-1)
    if (!last || page.length < pageSize) break
    place = last.id
    await passed?.(place)
  }
  return differing
}

const pageSize = 500
/** Before all ids. */
export const firstId = '00000000-0000-0000-0000-000000000000'

/** A lead that is converted stays as it was. */
const differs = (rules: readonly Rule[], record: Counted, type: Scored): boolean =>
  record.status !== 'converted' && scoreOf(rules, record) !== storedScore(record, type)

const scoreOf = (rules: readonly Rule[], record: Counted): number => explain(rules, record, new Date()).score

/** A record that no rule has given points yet has none: a first score of 0 is no change. */
const storedScore = (record: Counted, type: Scored): number => Number(record[scores[type]] ?? 0)

/** The system at work for a tenant, on behalf of what caused it. It goes in the lane that delays nobody. */
export const scoringCtx = (tenantId: string, requestId: string): Ctx =>
  systemCtx(tenantId, { actor: { ...system, name: 'Scoring' }, requestId, lane: 'bulk' })
