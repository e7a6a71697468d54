import type { Tx } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { Draft, Pointer } from './draft.ts'
import type { Names, Wanted } from './names.ts'
import type { Outcome } from './outcome.ts'

/** What resolving needs. */
export interface PointingDeps {
  readonly names: Names
  readonly createMissing: ReadonlySet<string>
  repository(type: string): Repository
}

/**
 * Resolves what rows name, makes what may be made, and sets the members; what is not found is an error of its row.
 * Pipelines first: a stage is looked for in the row's pipeline.
 */
export async function resolvePointers(
  tx: Tx,
  deps: PointingDeps,
  drafts: readonly Draft[],
  outcome: Outcome,
): Promise<void> {
  const stages = ({ target }: Pointer) => target.type === 'stage'
  await resolve(tx, deps, drafts, (pointer) => !stages(pointer) && !pointer.target.later, outcome)
  await resolve(tx, deps, drafts, stages, outcome)
}

async function resolve(
  tx: Tx,
  deps: PointingDeps,
  drafts: readonly Draft[],
  chosen: (pointer: Pointer) => boolean,
  outcome: Outcome,
): Promise<void> {
  const open = drafts.flatMap((draft) =>
    draft.pointers.filter(chosen).map((pointer) => ({ draft, pointer, wanted: wantedOf(draft, pointer) })),
  )
  if (open.length === 0) return
  const found = await deps.names.find(
    tx,
    open.map(({ wanted }) => wanted),
  )
  const missing = open.filter(({ draft, wanted }) => draft.errors.length === 0 && found(wanted) === null)
  const made = await makeMissing(
    tx,
    deps,
    missing.map(({ wanted }) => wanted),
    outcome,
  )
  for (const { draft, pointer, wanted } of open) {
    const id = made(wanted) ?? found(wanted)
    if (typeof id === 'string' && id !== 'several') point(draft, pointer, id)
    else draft.errors.push(unresolved(draft, pointer, id === 'several' ? 'several' : reasonOf(made, wanted)))
  }
}

function wantedOf(draft: Draft, { target: { type, by }, text }: Pointer): Wanted {
  const { pipelineId } = draft.values
  return type === 'stage'
    ? { type, by, text, pipelineId: typeof pipelineId === 'string' ? pipelineId : null }
    : { type, by, text }
}

function point(draft: Draft, { target }: Pointer, id: string): void {
  if (target.member === null) draft.productIds.push(id)
  else if (target.many) draft.values[target.member] = [...new Set([draft.values[target.member] ?? [], id].flat())]
  else draft.values[target.member] = id
}

type MadeOf = ((wanted: Wanted) => string | undefined) & { readonly refused: ReadonlyMap<string, string> }

/** Makes each missing record once, however its name is written. */
export async function makeMissing(
  tx: Tx,
  deps: PointingDeps,
  wanted: readonly Wanted[],
  outcome: Outcome,
): Promise<MadeOf> {
  const made = new Map<string, string>()
  const refused = new Map<string, string>()
  const groups = Map.groupBy(
    wanted.filter(({ type }) => deps.createMissing.has(type)),
    ({ type }) => type,
  )
  for (const [type, group] of groups) {
    const { entity, createMany } = deps.repository(type)
    if (tx.ctx.rights.scope(type, 'create') === 'none') {
      for (const one of group) refused.set(nameKey(one), `is not there, and your role may not create a ${type}`)
      continue
    }
    const names = new Map(group.toReversed().map((one) => [nameKey(one), one]))
    const records = [...names].reverse().flatMap(([key, one]) => {
      const values = entity.createSchema.safeParse(valuesOf(one, entity.all.name !== undefined))
      if (values.success) return [{ key, one, values: values.data }]
      refused.set(key, `cannot be made: ${values.error.issues[0]?.message ?? 'it is not valid'}`)
      return []
    })
    const results = await createMany(tx, records)
    for (const [index, { key, one }] of records.entries()) {
      const result = results[index]
      if (!result || 'missing' in result) continue
      made.set(key, result.id)
      outcome.effects.push({ type, id: result.id, version: result.version, before: null })
      outcome.made.push({ type, name: one.text, by: one.by, id: result.id })
    }
  }
  return Object.assign((one: Wanted) => made.get(nameKey(one)), { refused })
}

const nameKey = ({ type, by, text }: Wanted): string =>
  `${type} ${by} ${text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '') || text}`

/** Who is known by an email only is called by what stands before its @. */
function valuesOf({ by, text }: Wanted, hasName: boolean): Record<string, unknown> {
  if (by === 'name' || !hasName) return { [by]: text }
  return { name: by === 'email' ? text.split('@', 1)[0] : text, [by]: text }
}

const reasonOf = (made: MadeOf, wanted: Wanted): string => made.refused.get(nameKey(wanted)) ?? 'missing'

const reasons: Readonly<Record<string, (type: string, by: string) => string>> = {
  missing: (type, by) => `there is no ${type} with this ${by}`,
  several: (type) => `there is more than one ${type} called so; use the email`,
}

/** An error that says what was not found. */
const unresolved = (draft: Pick<Draft, 'line'>, { target, column, text }: Pointer, reason: string) => ({
  line: draft.line,
  column: column || target.path,
  value: text,
  reason: reasons[reason]?.(target.type, target.by) ?? reason,
})
