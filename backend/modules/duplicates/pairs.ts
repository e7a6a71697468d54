import type { WorkerTx } from '../../kernel/db/database.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import { weigh } from './evidence.ts'
import { comparableName, type MatchKey } from './keys.ts'
import { type Located, recordKey } from './located.ts'
import { type Group, type Matched, type Pair, readGroups, readMatched, writePairs } from './match.queries.ts'

/** Works out anew which pairs these records are in. What has been read of them already need not be read again. */
export async function pairAnew(
  tx: WorkerTx,
  noun: Mergeable,
  records: readonly Located[],
  known: ReadonlyMap<string, Matched>,
): Promise<void> {
  const groups = await readGroups(tx, noun, records)
  const candidates = candidatesOf(groups, new Set(records.map(recordKey)))
  const members = await readRest(tx, noun, candidates, known)
  // A record is in many candidates, and taking its name apart costs more than comparing it.
  const names = new Map([...members].map(([key, { record }]) => [key, comparableName(noun.sameness, record)]))
  const pairs = candidates.flatMap(({ tenantId, aId, bId, keys }): Pair[] => {
    const a = names.get(recordKey({ tenantId, id: aId }))
    const b = names.get(recordKey({ tenantId, id: bId }))
    const evidence = a === undefined || b === undefined ? null : weigh(noun.sameness, [a, b], keys)
    return evidence ? [{ tenantId, aId, bId, ...evidence }] : []
  })
  await writePairs(tx, noun, records, pairs)
}

interface Candidate {
  readonly tenantId: string
  readonly aId: string
  readonly bId: string
  readonly keys: MatchKey[]
}

/** Every two records of a group of which at least one is asked for, each pair once with all that it shares. */
function candidatesOf(groups: readonly Group[], asked: ReadonlySet<string>): Candidate[] {
  const found = new Map<string, Candidate>()
  for (const { tenantId, kind, key, ids } of groups) {
    const sorted = ids.toSorted()
    for (const [place, aId] of sorted.entries()) {
      const isAsked = asked.has(recordKey({ tenantId, id: aId }))
      for (const bId of sorted.slice(place + 1)) {
        if (!isAsked && !asked.has(recordKey({ tenantId, id: bId }))) continue
        const name = `${aId} ${bId}`
        const candidate = found.get(name) ?? { tenantId, aId, bId, keys: [] }
        candidate.keys.push({ kind, key })
        found.set(name, candidate)
      }
    }
  }
  return [...found.values()]
}

async function readRest(
  tx: WorkerTx,
  noun: Mergeable,
  candidates: readonly Candidate[],
  known: ReadonlyMap<string, Matched>,
): Promise<ReadonlyMap<string, Matched>> {
  const wanted = new Map<string, Located>()
  for (const { tenantId, aId, bId } of candidates)
    for (const id of [aId, bId]) {
      const key = recordKey({ tenantId, id })
      if (!known.has(key)) wanted.set(key, { tenantId, id })
    }
  return wanted.size === 0 ? known : new Map([...known, ...(await readMatched(tx, noun, [...wanted.values()]))])
}
