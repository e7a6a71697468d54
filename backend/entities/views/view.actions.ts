import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { CustomFields } from '../../kernel/entity/custom.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { listParameterNames, readListQuery } from '../../kernel/entity/list-query.ts'
import type { Changed, Expected, Repository, Stored, Values } from '../../kernel/entity/repository.ts'
import { type SavedQueries, searchOf } from '../../kernel/entity/saved-query.ts'
import { forbidden, invalid, invalidMember, type MemberError, notFound, Problem, rule } from '../../kernel/errors.ts'
import { isId } from '../../kernel/ids.ts'
import { view } from './view.entity.ts'
import { countViews, findDefault, findView, type View } from './view.queries.ts'

/** What writing views stands on. */
export interface ViewDeps {
  readonly views: Repository
  readonly entities: ReadonlyMap<string, Entity>
  readonly customFields: CustomFields
}

const most = { private: 200, shared: 1_000 } as const

/** Saves a view. */
export async function createView(
  tx: Tx,
  deps: ViewDeps,
  { ownerId = tx.ctx.rights.userId, ...values }: Values,
): Promise<Stored> {
  if (ownerId !== tx.ctx.rights.userId) throw invalidMember('ownerId', 'must be you, or be left out')
  const wanted: View = { ...preset, ...values, ownerId: tx.ctx.rights.userId }
  await checkView(tx, deps, wanted)
  const limit = most[wanted.shared]
  if ((await countViews(tx, wanted.shared)) >= limit)
    throw rule('TOO_MANY_VIEWS', `There can be ${limit} ${wanted.shared} views; delete one first`)
  if (wanted.isDefault) await dropDefault(tx, deps.views, wanted)
  return deps.views.create(tx, values)
}

/** Changes a view that the caller sees: its owner, or an administrator a shared one. */
export async function updateView(
  tx: Tx,
  deps: ViewDeps,
  id: string,
  values: Values,
  expected: Expected,
): Promise<Changed> {
  const found = await findView(tx, id)
  if (!found) throw notFound()
  const wanted = wantedFrom(JSON.parse(found.json), values)
  await checkView(tx, deps, wanted)
  if (wanted.isDefault) await dropDefault(tx, deps.views, wanted)
  return deps.views.update(tx, id, values, { expected })
}

/** Deletes a view that the caller sees, under the same rights. */
export async function removeView(tx: Tx, deps: ViewDeps, id: string, expected: Expected): Promise<void> {
  if (!(await findView(tx, id))) throw notFound()
  await deps.views.remove(tx, id, expected)
}

/** What `?view=` of a list means: the filters and the sort of a view that the caller sees. */
export const savedQueries: SavedQueries = async (tx, entity, id) => {
  const found = isId(id) ? await findView(tx, id) : undefined
  const saved: View | undefined = found && JSON.parse(found.json)
  return saved?.resource === entity.type ? saved : undefined
}

const preset: View = {
  id: '',
  name: '',
  resource: '',
  filters: {},
  sort: null,
  columns: [],
  shared: 'private',
  isDefault: false,
  ownerId: null,
  version: 0,
}

/** The view as it would be. What a change cannot set, the engine refuses. */
function wantedFrom(before: View, values: Values): View {
  const sent = Object.entries(values).filter(([name, value]) => value !== undefined && !view.all[name]?.fixed)
  return { ...before, ...Object.fromEntries(sent) }
}

/** The list must take the filters and the sort as they are, and its columns must be there. */
async function checkView(tx: Tx, deps: ViewDeps, wanted: View): Promise<void> {
  const entity = deps.entities.get(wanted.resource)
  if (!entity) throw invalidMember('resource', 'has no lists here')
  const definitions = entity.all.customFields ? await deps.customFields.of(tx.ctx, entity.type) : []
  const errors: MemberError[] = []
  const wrong = (path: string, message: string) => void errors.push({ path, message, code: 'invalid_value' })
  for (const [index, column] of wanted.columns.entries()) {
    const known = entity.all[column] !== undefined || definitions.some(({ key }) => `cf.${key}` === column)
    if (!known) wrong(`columns.${index}`, `${column} is no member of a ${entity.type}`)
  }
  for (const name of Object.keys(wanted.filters))
    if (listParameterNames.has(name)) wrong(`filters.${name}`, 'is not a filter')
  try {
    readListQuery(entity, searchOf(wanted), definitions, tx.ctx.rights.userId)
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    for (const each of error.errors ?? [])
      if (!listParameterNames.has(each.path)) wrong(`filters.${each.path}`, each.message)
      else if (each.path === 'sort') wrong('sort', each.message)
  }
  if (errors.length > 0) throw invalid(errors)
}

/** Takes the default from the view that has it where this one is to have it; that is a change of its own. */
async function dropDefault(tx: Tx, views: Repository, wanted: View): Promise<void> {
  if (wanted.shared === 'shared' && tx.ctx.rights.scope('view', 'update') !== 'all')
    throw forbidden('Only administrators say what everybody sees at first')
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended(${`views ${tx.ctx.tenantId}`}, 0))`)
  const other = await findDefault(tx, wanted)
  if (other !== null && other !== wanted.id) await views.update(tx, other, { isDefault: false })
}
