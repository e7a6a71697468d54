import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Changed, Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { forbidden, invalidMember, notFound } from '../../kernel/errors.ts'
import { carrying, type Relabelling, relabel } from './relabel.ts'

/** What changing tags stands on: themselves, and the nouns that carry them. */
export interface TagDeps {
  readonly tags: Repository
  readonly tagged: readonly Repository[]
}

/** Records that follow in the request itself; of more than these the rest follows after it. */
const mostAtOnce = 1_000

/** Changes a tag; with another name all records that carry it follow. */
export async function changeTag(
  tx: Tx,
  deps: TagDeps,
  id: string,
  values: Values,
  expected: Expected,
): Promise<Changed> {
  const [before] = await lockTags(tx, [id])
  if (!before) throw notFound()
  if (typeof values.name !== 'string' || values.name === before.name)
    return deps.tags.update(tx, id, values, { expected })
  await lockNames(tx, [before.name, values.name])
  await refuseForeign(tx, deps, [before.name])
  return relabelledFirst(tx, deps, { from: [before.name], to: values.name }, (data) =>
    deps.tags.update(tx, id, values, { expected, data }),
  )
}

/** Folds other tags into one: their records carry this one instead, and they are deleted. */
export async function mergeTags(
  tx: Tx,
  deps: TagDeps,
  id: string,
  fromIds: readonly string[],
  expected: Expected,
): Promise<Changed> {
  if (fromIds.includes(id)) throw invalidMember('fromIds', 'must be other tags than this one')
  const found = await lockTags(tx, [id, ...fromIds])
  const into = found.find((tag) => tag.id === id)
  if (!into) throw notFound()
  if (found.length <= fromIds.length)
    throw invalidMember('fromIds', 'must be tags that you may read', 'invalid_reference')
  const folded = found.filter((tag) => tag !== into)
  const from = folded.map(({ name }) => name)
  await lockNames(tx, [...from, into.name])
  await refuseForeign(tx, deps, from)
  return relabelledFirst(tx, deps, { from, to: into.name }, async (data) => {
    const parts = [{ field: 'mergedFrom', oldValue: null, newValue: from }]
    const merged = await deps.tags.derive(tx, id, {}, { verb: 'merged', parts, expected, data })
    for (const tag of folded) await deps.tags.remove(tx, tag.id, null, { mergedInto: id })
    return merged
  })
}

/** Deletes a tag and takes it off all records that carry it. */
export async function removeTag(tx: Tx, deps: TagDeps, id: string, expected: Expected): Promise<void> {
  const [tag] = await lockTags(tx, [id])
  if (!tag) throw notFound()
  await lockNames(tx, [tag.name])
  await refuseForeign(tx, deps, [tag.name])
  await relabelledFirst(tx, deps, { from: [tag.name], to: null }, (data) => deps.tags.remove(tx, id, expected, data))
}

/** In one order, so that two who fold the same tags wait for each other instead of for ever. */
const lockTags = (tx: Tx, ids: readonly string[]) =>
  tx.query<{ id: string; name: string }>(sql`
    select id, name from tags where tenant_id = ${tx.ctx.tenantId} and id = any(${ids}::uuid[]) and deleted_at is null
    order by id for update`)

/** Waits for whoever puts these names on records and keeps others from it: what it committed is found, what comes sees the change. */
const lockNames = (tx: Tx, names: readonly string[]) =>
  tx.query(sql`select lock_tags(${tx.ctx.tenantId}, ${names}::text[])`)

/** A tag that records carry is everybody's: who renames it changes them all, and so must be allowed to. */
async function refuseForeign(tx: Tx, { tagged }: TagDeps, names: readonly string[]): Promise<void> {
  for (const { entity } of tagged) {
    if (tx.ctx.rights.scope(entity.type, 'update') === 'all') continue
    const [held] = await carrying(tx, entity.type, names, 1)
    if (held !== undefined) throw forbidden(`Your role may not change all ${entity.path} that carry this tag`)
  }
}

/** Lets the records follow, and then does what is to be done to the tags, told what is left for later. */
async function relabelledFirst<T>(
  tx: Tx,
  { tagged }: TagDeps,
  relabelling: Relabelling,
  change: (data: Values) => Promise<T>,
): Promise<T> {
  const { left } = await relabel(tx, tagged, relabelling, mostAtOnce)
  return change(left ? { relabelling } : {})
}
