import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { forbidden, invalid } from '../../kernel/errors.ts'
import { findCandidates, type KeptPair, keepDismissal, type Place, readPairs } from './duplicate.queries.ts'
import { type Evidence, weigh } from './evidence.ts'
import { keysOf } from './keys.ts'
import type { Mergeable } from './mergeable.ts'

/** A pair both of whose records the caller may read. */
export type SeenPair = KeptPair & { readonly a: Values; readonly b: Values }

/** Whether a pair is for the caller to see. */
export const isSeen = (pair: KeptPair): pair is SeenPair => !pair.dismissed && pair.a !== null && pair.b !== null

/**
 * A page of pairs after a place, and where it ended. A caller who may read few of a long list gets less than a full page
 * at a time, never a long wait.
 */
export async function pageOfPairs(
  tx: Tx,
  noun: Mergeable,
  after: Place | null,
  minScore: number,
  limit: number,
): Promise<{ pairs: SeenPair[]; next: Place | null }> {
  const pairs: SeenPair[] = []
  let place = after
  for (let round = 0; round < mostRounds; round++) {
    const size = round === 0 ? limit + 1 : longRound
    const rows = await readPairs(tx, noun, place, minScore, size)
    for (const [index, row] of rows.entries()) {
      place = row
      if (isSeen(row)) pairs.push(row)
      if (pairs.length === limit) return { pairs, next: index + 1 < rows.length || rows.length === size ? place : null }
    }
    if (rows.length < size) return { pairs, next: null }
  }
  return { pairs, next: place }
}

const mostRounds = 5
const longRound = 500

/** Records that a record with these values may be the same as, the surest first. */
export async function findAlike(tx: Tx, noun: Mergeable, values: Values): Promise<(Evidence & { record: Values })[]> {
  const found = await findCandidates(tx, noun, keysOf(noun.sameness, values))
  return found
    .flatMap(({ record, shared }) => {
      const evidence = weigh(noun.sameness, values, record, shared)
      return evidence ? [{ ...evidence, record }] : []
    })
    .sort((one, other) => other.score - one.score || String(other.record.id).localeCompare(String(one.record.id)))
    .slice(0, mostAlike)
}

const mostAlike = 50

/** Says that two records are not the same, by who may change both. */
export async function dismiss(tx: Tx, noun: Mergeable, ids: readonly [string, string]): Promise<void> {
  const { rights, tenantId } = tx.ctx
  const [read, update] = [rights.scope(noun.type, 'read'), rights.scope(noun.type, 'update')]
  const reachable = plan(
    (bind) => `
      select r.id, ${scopeSql(noun, update, 'r', bind, 'updaters')} as writable from ${noun.table} r
      where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')}) and r.deleted_at is null
        and ${scopeSql(noun, read, 'r', bind, 'readers')}`,
  )
  const rows = await tx.query<{ id: string; writable: boolean }>(
    fill(reachable, { tenant: tenantId, ids, readers: scopeUsers(read), updaters: scopeUsers(update) }),
  )
  const missing = ids.flatMap((id, index) => (rows.some((row) => row.id === id) ? [] : [`ids.${index}`]))
  if (missing.length > 0)
    throw invalid(
      missing.map((path) => ({ path, message: `must be a ${noun.type} that you may read`, code: 'invalid_reference' })),
    )
  if (rows.some(({ writable }) => !writable)) throw forbidden(`Your role may not change both of these ${noun.path}`)
  const [a, b] = ids
  await keepDismissal(tx, noun, a < b ? a : b, a < b ? b : a)
}
