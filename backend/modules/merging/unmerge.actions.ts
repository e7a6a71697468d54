import { isDeepStrictEqual } from 'node:util'
import type { Tx } from '../../kernel/db/database.ts'
import type { Mergeable } from '../../kernel/entity/define.ts'
import { lockShares } from '../../kernel/entity/lock-shares.ts'
import type { Expected, Stored, Values } from '../../kernel/entity/repository.ts'
import { conflict, forbidden, invalid, notFound, rule, stale } from '../../kernel/errors.ts'
import { type Ancestor, ancestorsOf, parentMembers } from './ancestors.ts'
import { returnHanging } from './hanging.ts'
import { type MergingDeps, manyMoved, parentOutside } from './merge.actions.ts'
import {
  aliasesAmong,
  clearMember,
  dropAliases,
  findMerges,
  keepRest,
  type Locked,
  lockRecords,
  type Merge,
} from './merge.queries.ts'
import { type Left, pointAnew, type Referrers } from './references.ts'
import { returnShares } from './shares.ts'
import { asValues, combine, differences, membersOf } from './values.ts'

/** What was given back, and what somebody had changed meanwhile, so that it stays as it is. */
export interface Unmerged {
  readonly ids: readonly string[]
  /** Members of the survivor. */
  readonly kept: readonly string[]
  /** References that still lead to the survivor, or wherever they were changed to. */
  readonly left: readonly Left[]
}

/**
 * Gives records back that were merged into another one, with what was theirs: these, or those of the last merge. The
 * survivor gets back its values, but those that were changed since.
 */
export async function unmerge(
  tx: Tx,
  deps: MergingDeps,
  noun: Mergeable,
  id: string,
  wanted: readonly string[] | null,
  expected: Expected,
): Promise<{ stored: Stored; unmerged: Unmerged }> {
  await lockShares(tx, id)
  const sought = await findMerges(tx, noun, id, wanted)
  const all = await lockRecords(tx, noun, [id, ...sought.flatMap(({ fromIds }) => fromIds)])
  const survivor = all.get(id)
  if (!survivor?.live || !survivor.readable) throw notFound()
  if (!survivor.updatable) throw forbidden(`Your role may not change this ${noun.type}`)
  if (expected !== null && !expected.includes(survivor.version)) throw stale()
  const merges = await findMerges(tx, noun, id, wanted)
  if (!isDeepStrictEqual(merges, sought)) throw conflict('Another request is merging these records; try again')
  const known = merges.flatMap(({ fromIds }) => fromIds)
  const aliases = await aliasesAmong(tx, noun.type, wanted?.filter((former) => !known.includes(former)) ?? [])
  refuseExpired(
    noun,
    [...aliases].flatMap(([former, into]) => (into === id ? [former] : [])),
  )
  refuseUnknown(noun, merges, wanted)
  const ids = wanted ?? merges[0]?.fromIds ?? []
  const gone = ids.filter((former) => !all.has(former))
  refuseExpired(noun, gone)
  if (ids.some((former) => !all.get(former)?.deletable))
    throw forbidden(`Your role may not bring all of these ${noun.path} back`)

  let { record } = survivor
  const kept: string[] = []
  const left: Left[] = []
  for (const merge of merges) {
    const given = await giveBack(tx, deps, noun, { id, record }, merge, ids, all)
    record = given.record
    kept.push(...given.kept)
    left.push(...given.left)
  }
  const stored = await deps.repository(noun.type).get(tx, id)
  return { stored, unmerged: { ids, kept: [...new Set(kept)], left } }
}

/** What a merge kept goes with the records that it merged; their ids stay. */
function refuseExpired({ path }: Mergeable, gone: readonly string[]): void {
  if (gone.length > 0)
    throw rule('MERGE_EXPIRED', `These ${path} were merged so long ago that they are gone: ${gone.join(', ')}`)
}

function refuseUnknown(noun: Mergeable, merges: readonly Merge[], wanted: readonly string[] | null): void {
  if (merges.length === 0 && wanted === null)
    throw rule('NOTHING_TO_UNMERGE', `Nothing is merged into this ${noun.type}`)
  const known = merges.flatMap(({ fromIds }) => fromIds)
  const message = `must be a ${noun.type} that was merged into this one`
  const wrong = (wanted ?? []).flatMap((id, index) =>
    known.includes(id) ? [] : [{ path: `ids.${index}`, message, code: 'invalid_reference' }],
  )
  if (wrong.length > 0) throw invalid(wrong)
}

/** Takes a merge back for those of its records that are wanted; the others stay merged as if they had been alone. */
async function giveBack(
  tx: Tx,
  { entities, repository }: MergingDeps,
  noun: Mergeable,
  survivor: { id: string; record: Values },
  merge: Merge,
  ids: readonly string[],
  all: ReadonlyMap<string, Locked>,
): Promise<{ record: Values; kept: string[]; left: Left[] }> {
  const { id } = survivor
  const { type } = noun
  const { payload } = merge
  const theirs = merge.fromIds.filter((former) => ids.includes(former))
  const rest = merge.fromIds.filter((former) => !ids.includes(former))
  await dropAliases(tx, type, theirs, payload.aliases)
  const count = payload.moved.reduce((sum, { rows }) => sum + rows.length, 0)
  const mover: Tx = count > manyMoved ? { ...tx, ctx: { ...tx.ctx, lane: 'bulk' } } : tx
  const target = { type, survivorId: id, before: merge.fromIds, now: rest }
  const left = await keepOutOfCircles(tx, noun, theirs, payload.moved, id)
  left.push(...(await pointAnew(mover, entities, repository, payload.moved, target)))
  await returnHanging(tx, payload.hanging, theirs, id)
  await returnShares(tx, type, payload.shares ?? [], id)

  const take = Object.fromEntries(Object.entries(payload.take).filter(([, of]) => !theirs.includes(of)))
  const parts = rest.flatMap((former) => {
    const record = all.get(former)?.record
    return record ? [{ id: former, members: membersOf(noun, record) }] : []
  })
  const combined = combine(noun, [{ id, members: payload.before }, ...parts], take)
  const current = membersOf(noun, survivor.record)
  const untouched = Object.keys(payload.after).filter((name) =>
    isDeepStrictEqual(current[name] ?? null, payload.after[name] ?? null),
  )
  const kept = Object.keys(payload.after).filter((name) => !untouched.includes(name))
  for (const member of parentMembers(noun).filter((name) => untouched.includes(name))) {
    const parentId = await parentOutside(tx, noun, member, combined[member], [id, ...rest])
    if (parentId !== combined[member] && rest.length === 0) kept.push(member)
    combined[member] = parentId
  }
  const restored = Object.fromEntries(untouched.map((name) => [name, combined[name] ?? null]))
  const changed = await repository(type).rewrite(tx, id, asValues(survivor.record, restored), {
    verb: 'unmerged',
    data: { mergeId: merge.id, unmergedIds: theirs },
    parts: [{ field: 'mergedIds', oldValue: theirs, newValue: [] }],
  })
  // After the survivor, which may have had a key of theirs.
  for (const former of theirs) await repository(type).restore(tx, former)
  const aliases = payload.aliases.filter(([, into]) => !theirs.includes(into))
  const after = differences(payload.before, restored)
  await keepRest(tx, { id: merge.id, fromIds: rest, payload: { ...payload, take, aliases, after } })
  return { record: JSON.parse(changed.json), kept, left }
}

/**
 * Lets records stand below nobody that would stand below themselves once what moved is given back, as somebody has put
 * them apart or together meanwhile. They are still deleted, so that it is their restoring which tells it.
 */
async function keepOutOfCircles(
  tx: Tx,
  noun: Mergeable,
  ids: readonly string[],
  moved: readonly Referrers[],
  survivorId: string,
): Promise<Left[]> {
  const cut: Left[] = []
  for (const member of parentMembers(noun)) {
    const referrers = moved.filter((one) => one.type === noun.type && one.member === member)
    const former = new Map(referrers.flatMap(({ rows }) => rows))
    for (const id of ids) {
      const passed = new Set<string>()
      let below: string | undefined = id
      while (below !== undefined && !passed.has(below)) {
        passed.add(below)
        const above: Ancestor[] = await ancestorsOf(tx, noun, member, below)
        const given = above.find((one) => one.parentId === survivorId && ids.includes(String(former.get(one.id))))
        below = given && String(former.get(given.id))
      }
      if (below !== id) continue
      await clearMember(tx, noun, member, id)
      cut.push({ type: noun.type, id, member })
    }
  }
  return cut
}
