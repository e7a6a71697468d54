import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { seenMembers } from '../../kernel/entity/field-rules.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { forbidden, invalid } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { NewEvent } from '../../kernel/events/event.ts'
import {
  dropDismissal,
  findCandidates,
  type KeptPair,
  keepDismissal,
  type Place,
  readPairs,
} from './duplicate.queries.ts'
import { type Evidence, fieldOf, weigh } from './evidence.ts'
import { comparableName, keysOf, sharedKeys } from './keys.ts'

/** A pair both of whose records the caller may read. */
export type SeenPair = KeptPair & { readonly a: Values; readonly b: Values }

/**
 * A pair as the caller may see it; null when he may not read both records, or when it takes what is hidden from him to tell
 * that they are a pair.
 */
export function seenPair({ ctx: { rights } }: Tx, noun: Mergeable, pair: KeptPair): SeenPair | null {
  const { type, sameness } = noun
  const { a, b, reasons } = pair
  if (a === null || b === null) return null
  const rules = rights.fields?.(type)
  if (!rules) return { ...pair, a, b }
  const [one, other] = [seenMembers(noun, rules, a), seenMembers(noun, rules, b)]
  const fields = new Set(reasons.map(({ field }) => field))
  const shared = sharedKeys(keysOf(sameness, one), keysOf(sameness, other)).filter(({ kind }) =>
    fields.has(fieldOf(sameness, kind)),
  )
  const evidence = weigh(sameness, [comparableName(sameness, one), comparableName(sameness, other)], shared)
  return evidence && { ...pair, ...evidence, a: one, b: other }
}

/**
 * A page of pairs after a place, and where it ended. A caller who may read few of a long list gets less than a full page
 * at a time, never a long wait.
 */
export async function pageOfPairs(
  tx: Tx,
  noun: Mergeable,
  after: Place | null,
  { minScore, dismissed }: { minScore: number; dismissed: boolean },
  limit: number,
): Promise<{ pairs: SeenPair[]; next: Place | null }> {
  const pairs: SeenPair[] = []
  let place = after
  for (let round = 0; round < mostRounds; round++) {
    const size = round === 0 ? limit + 1 : longRound
    const rows = await readPairs(tx, noun, place, minScore, size)
    for (const [index, row] of rows.entries()) {
      place = row
      const seen = row.dismissed === dismissed ? seenPair(tx, noun, row) : null
      if (seen && seen.score >= minScore) pairs.push(seen)
      if (pairs.length === limit) return { pairs, next: index + 1 < rows.length || rows.length === size ? place : null }
    }
    if (rows.length < size) return { pairs, next: null }
  }
  return { pairs, next: place }
}

const mostRounds = 5
const longRound = 500

/** Records that a record with these values may be the same as, as far as the caller sees what tells it; the surest first. */
export async function findAlike(tx: Tx, noun: Mergeable, values: Values): Promise<(Evidence & { record: Values })[]> {
  const { sameness } = noun
  const name = comparableName(sameness, values)
  const rules = tx.ctx.rights.fields?.(noun.type)
  const found = await findCandidates(tx, noun, keysOf(sameness, values))
  return found
    .flatMap(({ record, shared }) => {
      const seen = seenMembers(noun, rules, record)
      const told = rules ? sharedKeys(shared, keysOf(sameness, seen)) : shared
      const evidence = weigh(sameness, [name, comparableName(sameness, seen)], told)
      return evidence ? [{ ...evidence, record: seen }] : []
    })
    .sort((one, other) => other.score - one.score || String(other.record.id).localeCompare(String(one.record.id)))
    .slice(0, mostAlike)
}

const mostAlike = 50

/** Says that two records are not the same, by who may change both; both tell it in their timelines. */
export async function dismiss(tx: Tx, noun: Mergeable, ids: Pair): Promise<void> {
  const [a, b] = await lockChangeable(tx, noun, ids)
  if (await keepDismissal(tx, noun, a.id, b.id)) await tell(tx, noun, 'duplicate_dismissed', a, b)
}

/** Takes back that two records are not the same: they are a pair again while there is evidence. */
export async function undismiss(tx: Tx, noun: Mergeable, ids: Pair): Promise<void> {
  const [a, b] = await lockChangeable(tx, noun, ids)
  if (await dropDismissal(tx, noun, a.id, b.id)) await tell(tx, noun, 'duplicate_undismissed', a, b)
}

type Pair = readonly [string, string]

interface Changeable {
  readonly id: string
  readonly writable: boolean
  readonly record: Values
}

/** Both records, the lower id first; 400 names what the caller may not read, and 403 is for who may not change both. */
async function lockChangeable(tx: Tx, noun: Mergeable, ids: Pair): Promise<[Changeable, Changeable]> {
  const { rights, tenantId } = tx.ctx
  const [read, update] = [rights.scope(noun.type, 'read'), rights.scope(noun.type, 'update')]
  const reachable = plan(
    (bind) => `
      select r.id, ${scopeSql(noun, update, 'r', bind, 'updaters')} as writable, ${documentSql(noun, 'jsonb')} as record
      from ${noun.table} r
      where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')}) and r.deleted_at is null
        and ${scopeSql(noun, read, 'r', bind, 'readers')}
      order by r.id for share of r`,
  )
  const [a, b] = await tx.query<Changeable & Values>(
    fill(reachable, { tenant: tenantId, ids, readers: scopeUsers(read), updaters: scopeUsers(update) }),
  )
  if (!a || !b) {
    const missing = ids.flatMap((id, index) => (id === a?.id ? [] : [`ids.${index}`]))
    throw invalid(
      missing.map((path) => ({ path, message: `must be a ${noun.type} that you may read`, code: 'invalid_reference' })),
    )
  }
  if (!a.writable || !b.writable) throw forbidden(`Your role may not change both of these ${noun.path}`)
  return [a, b]
}

/** The records themselves are what they were, so that their versions stay. */
async function tell(tx: Tx, noun: Mergeable, verb: string, a: Changeable, b: Changeable): Promise<void> {
  const event = (of: Changeable, other: Changeable): NewEvent => ({
    name: `${noun.type}.${verb}`,
    type: noun.type,
    recordId: of.id,
    record: of.record,
    data: { otherId: other.id },
  })
  await appendEvents(tx, [event(a, b), event(b, a)])
}
