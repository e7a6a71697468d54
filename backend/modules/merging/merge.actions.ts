import type { Tx } from '../../kernel/db/database.ts'
import type { Entity, Mergeable } from '../../kernel/entity/define.ts'
import { refuseUnwritable } from '../../kernel/entity/field-rules.ts'
import { lockShares } from '../../kernel/entity/lock-shares.ts'
import type { Changed, Expected, Repository } from '../../kernel/entity/repository.ts'
import { forbidden, invalid, type MemberError, notFound, rule, stale } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import { ancestorsOf, parentMembers } from './ancestors.ts'
import { moveHanging } from './hanging.ts'
import { addAliases, aliasesAmong, keepMerge, type Locked, lockRecords } from './merge.queries.ts'
import { findReferrers, pointAnew } from './references.ts'
import { carriedChange, carryShares } from './shares.ts'
import { asValues, combine, differences, memberOf, membersOf, type Take } from './values.ts'

/** What merging stands on. */
export interface MergingDeps {
  readonly entities: ReadonlyMap<string, Entity>
  repository(type: string): Repository
}

/** What is to become one. */
export interface Wish {
  readonly fromIds: readonly string[]
  readonly take?: Take | undefined
}

/** So many references move in one transaction; more would hold up everybody else for too long. */
export const mostMoved = 10_000

/** Above this many references their changes go in the lane of bulk work. */
export const manyMoved = 100

/**
 * Makes one record of several: the survivor takes their values where it has none, all that refers to them refers to it,
 * and their ids stand for it. What refers to them is moved whoever may change it: to whom it belongs does not change.
 */
export async function merge(
  tx: Tx,
  deps: MergingDeps,
  noun: Mergeable,
  id: string,
  { fromIds, take = {} }: Wish,
  expected: Expected,
): Promise<Changed> {
  const { entities, repository } = deps
  const { type } = noun
  refuseUnwritable(tx.ctx.rights, noun, [...new Set(Object.keys(take).map(memberOf))])
  await lockShares(tx, id)
  const locked = await lockRecords(tx, noun, [id, ...fromIds])
  const { survivor, others } = await permitted(tx, noun, locked, id, fromIds, expected)
  const parts = [survivor, ...others].map((part) => ({ id: part.id, members: membersOf(noun, part.record) }))
  const combined = combine(noun, parts, take)
  for (const member of parentMembers(noun))
    combined[member] = await parentOutside(tx, noun, member, combined[member], [id, ...fromIds])

  const before = membersOf(noun, survivor.record)
  // Before what stood below the others stands below it: in between it would stand below itself, which is refused.
  for (const member of parentMembers(noun).filter((name) => before[name] !== null && before[name] !== combined[name]))
    await repository(type).rewrite(tx, id, { [member]: combined[member] })

  const moved = await findReferrers(tx, entities, type, fromIds, id, mostMoved)
  const count = moved.reduce((sum, { rows }) => sum + rows.length, 0)
  if (count > mostMoved)
    throw rule('MERGE_TOO_LARGE', `More than ${mostMoved} records refer to these ${noun.path}; merge fewer at once`)

  const mergeId = newId()
  for (const other of others) await repository(type).retire(tx, other.id, 'merged_into', { mergeId, intoId: id })
  const aliases = await addAliases(
    tx,
    type,
    others.map((other) => ({ id: other.id, externalId: other.record.externalId ?? null })),
    id,
  )
  const mover: Tx = count > manyMoved ? { ...tx, ctx: { ...tx.ctx, lane: 'bulk' } } : tx
  await pointAnew(mover, entities, repository, moved, { type, survivorId: id, before: [], now: fromIds })
  const hanging = await moveHanging(tx, type, fromIds, id)
  const shares = await carryShares(tx, type, fromIds, id)

  const after = differences(before, combined)
  const named = others.map(({ id, record }) => ({ id, name: noun.title(record) }))
  const changed = await repository(type).rewrite(tx, id, asValues(survivor.record, after), {
    verb: 'merged',
    data: { mergeId, merged: named },
    parts: [{ field: 'mergedIds', oldValue: [], newValue: fromIds }, ...carriedChange(shares)],
  })
  await keepMerge(tx, noun, id, {
    id: mergeId,
    fromIds,
    payload: { before, after, take, moved, hanging, shares, aliases },
  })
  return changed
}

/** The records, if the caller may make one of them. */
async function permitted(
  tx: Tx,
  noun: Mergeable,
  locked: ReadonlyMap<string, Locked>,
  id: string,
  fromIds: readonly string[],
  expected: Expected,
): Promise<{ survivor: Locked; others: Locked[] }> {
  const survivor = locked.get(id)
  if (!survivor?.live || !survivor.readable) throw notFound()
  const found = fromIds.map((fromId) => locked.get(fromId))
  const others = found.filter((other) => other?.live && other.readable).filter((other) => other !== undefined)
  if (others.length < fromIds.length) {
    const aliases = await aliasesAmong(tx, noun.type, fromIds)
    throw invalid(
      found.flatMap((other, index): MemberError[] => {
        if (other?.live && other.readable) return []
        const merged = aliases.has(fromIds[index] ?? '') && other?.readable
        const message = merged
          ? 'has been merged into another record; name that one'
          : `must be a ${noun.type} that you may read`
        return [{ path: `fromIds.${index}`, message, code: 'invalid_reference' }]
      }),
    )
  }
  if (!survivor.updatable || others.some(({ updatable, deletable }) => !updatable || !deletable))
    throw forbidden(`Your role may not change all of these ${noun.path}`)
  if (expected !== null && !expected.includes(survivor.version)) throw stale()
  return { survivor, others }
}

/**
 * Who stands above the one that several become: the nearest that is none of them. When one of them stands below another,
 * with others between, the whole stands where the topmost stood.
 */
export async function parentOutside(
  tx: Tx,
  noun: Mergeable,
  member: string,
  parentId: unknown,
  ids: readonly string[],
): Promise<unknown> {
  if (typeof parentId !== 'string') return parentId
  const above = await ancestorsOf(tx, noun, member, parentId)
  const topmost = above.findLast((ancestor) => ids.includes(ancestor.id))
  return topmost ? topmost.parentId : parentId
}
