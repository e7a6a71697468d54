import sql from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import { keyMembers, keysOf } from './keys.ts'
import { type Located, recordKey } from './located.ts'
import { readMatched, writeKeys } from './match.queries.ts'
import { pairAnew } from './pairs.ts'

/** Records of each type whose keys may have changed. */
type Touched = ReadonlyMap<Mergeable, readonly Located[]>

/** Keeps the keys of records and the pairs that they make in step with the log. */
export function duplicatesSubscription(nouns: readonly Mergeable[]): Subscription<Touched> {
  return {
    name: 'duplicates',
    patterns: nouns.map(({ type }) => `${type}.*`),
    prepare: async (batch) =>
      new Map(
        nouns.map((noun) => [
          noun,
          distinct(batch.filter((event) => event.type === noun.type && concerns(noun, event))),
        ]),
      ),
    apply: async (tx, touched) => {
      for (const [noun, records] of touched) await match(tx, noun, records)
    },
  }
}

/** Brings keys and pairs of records of a noun up to what the records are now. */
export async function match(tx: WorkerTx, noun: Mergeable, records: readonly Located[]): Promise<void> {
  if (records.length === 0) return
  await lockTenants(tx, records)
  const live = await readMatched(tx, noun, records)
  const keys = [...live.values()].flatMap(({ tenantId, id, record }) =>
    keysOf(noun.sameness, record).map((key) => ({ ...key, tenantId, id })),
  )
  const others = await writeKeys(tx, noun, records, keys)
  await pairAnew(tx, noun, [...new Map([...records, ...others].map((one) => [recordKey(one), one])).values()], live)
}

/**
 * Both lanes write here. What a record is now is read under the lock, so whoever writes last has read last, in whatever
 * order its events came.
 */
async function lockTenants(tx: WorkerTx, records: readonly Located[]): Promise<void> {
  const tenants = [...new Set(records.map(({ tenantId }) => tenantId))]
  await tx.query(sql`
    select pg_advisory_xact_lock(k.key) from (
      select hashtextextended('clientforge.duplicates ' || t, 0) as key from unnest(${tenants}::text[]) t order by 1) k`)
}

/** A change of other members moves no key. A record that goes or comes back has no change of a member. */
function concerns(entity: Mergeable, { changes, recordId }: DomainEvent): boolean {
  if (recordId === null) return false
  const members = new Set(keyMembers(entity.sameness))
  return changes.length === 0 || changes.some(({ field }) => members.has(field))
}

function distinct(events: readonly DomainEvent[]): Located[] {
  const located = events.flatMap(({ tenantId, recordId }) => (recordId === null ? [] : [{ tenantId, id: recordId }]))
  return [...new Map(located.map((one) => [recordKey(one), one])).values()]
}
