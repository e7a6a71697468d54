import type { WorkerTx } from '../../kernel/db/database.ts'
import { weigh } from './evidence.ts'
import type { MatchKey } from './keys.ts'
import { type Pair, readMatched, readShared, writePairs } from './match.queries.ts'
import { type Located, type Mergeable, recordKey } from './mergeable.ts'

/** Works out anew which pairs these records are in. */
export async function pairAnew(tx: WorkerTx, noun: Mergeable, records: readonly Located[]): Promise<void> {
  const shared = await readShared(tx, noun, records)
  const found = new Map<string, { tenantId: string; aId: string; bId: string; keys: MatchKey[] }>()
  for (const { tenantId, id, other, kind, key } of shared) {
    const [aId, bId] = id < other ? [id, other] : [other, id]
    const name = `${tenantId} ${aId} ${bId}`
    const pair = found.get(name) ?? { tenantId, aId, bId, keys: [] }
    pair.keys.push({ kind, key })
    found.set(name, pair)
  }
  const candidates = [...found.values()]
  const members = await readMatched(
    tx,
    noun,
    candidates.flatMap(({ tenantId, aId, bId }) => [
      { tenantId, id: aId },
      { tenantId, id: bId },
    ]),
  )
  const pairs = candidates.flatMap(({ tenantId, aId, bId, keys }): Pair[] => {
    const a = members.get(recordKey({ tenantId, id: aId }))
    const b = members.get(recordKey({ tenantId, id: bId }))
    const evidence = a && b ? weigh(noun.sameness, a.record, b.record, keys) : null
    return evidence ? [{ tenantId, aId, bId, ...evidence }] : []
  })
  await writePairs(tx, noun, records, pairs)
}
