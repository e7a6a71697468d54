import type { Entity } from '../../kernel/entity/define.ts'
import { forbidden, invalid, type MemberError } from '../../kernel/errors.ts'
import type { Target, Targets, ValueTarget } from './target.ts'

/** What a caller says of the columns: a column's name to a path, or to several. */
export type Mapping = Readonly<Record<string, string | readonly string[]>>

/** What a column of the table fills. */
export interface ColumnTarget {
  readonly column: string
  readonly index: number
  readonly target: Target
}

/** What is filled from what: columns, and members that are the same for every row. */
export interface Plan {
  readonly entity: Entity
  readonly columns: readonly ColumnTarget[]
  readonly defaults: readonly { readonly target: Target; readonly value: unknown }[]
  /** Members by which a row is the same record. */
  readonly matchBy: readonly (ValueTarget | 'id')[]
}

/** What a caller asked for that decides the plan. */
export interface PlanRequest {
  readonly mapping?: Mapping | undefined
  readonly defaults: Readonly<Record<string, unknown>>
  readonly matchBy: readonly string[]
  readonly onDuplicate: 'create' | 'skip' | 'update'
}

/** Works out the plan, and the mapping that it stands for; 403 names what the importer's role hides, 400 what does not fit. */
export function planOf(
  entity: Entity,
  { byPath: targets, hidden }: Targets,
  columns: readonly string[],
  request: PlanRequest,
): { readonly plan: Plan; readonly mapping: Mapping } {
  const errors: MemberError[] = []
  const wrong = (path: string, message: string) => void errors.push({ path, message, code: 'invalid_value' })
  const mapping = request.mapping ?? recognised(targets, columns, request)
  refuseHidden(entity, hidden, columns, request)
  const filled = Object.entries(mapping).flatMap(([column, paths]): ColumnTarget[] => {
    const index = columns.indexOf(column.trim())
    if (index < 0) wrong(`mapping.${column}`, `is not a column of the file; it has ${listed(columns)}`)
    return [paths].flat().flatMap((path) => {
      const target = targets.get(path)
      if (!target) wrong(`mapping.${column}`, `${path} is not what a ${entity.type} takes`)
      if (target?.kind === 'id' && !isToldById(request)) wrong(`mapping.${column}`, idTellsNothing)
      return target && index >= 0 ? [{ column: column.trim(), index, target }] : []
    })
  })
  const defaults = Object.entries(request.defaults).flatMap(([path, value]) => {
    const target = targets.get(path)
    if (!target || target.kind === 'id') wrong(`defaults.${path}`, `is not what a ${entity.type} takes`)
    return target ? [{ target, value }] : []
  })
  filled.sort((a, b) => a.index - b.index)
  refuseTwice(filled, wrong)
  const matchBy = matchOf(entity, targets, filled, defaults, request, wrong)
  if (request.mapping === undefined && filled.length === 0 && errors.length === 0)
    wrong('mapping', `is needed: no column is called as a member of a ${entity.type}; there are ${listed(columns)}`)
  if (errors.length > 0) throw invalid(errors)
  return { plan: { entity, columns: filled, defaults, matchBy }, mapping }
}

/**
 * By what one does not see nothing is filled and no record told: whether it is there would tell it. Columns of a table that
 * comes without a mapping are left out when they are called so, unless a row would be told by one.
 */
function refuseHidden(
  entity: Entity,
  hidden: Targets['hidden'],
  columns: readonly string[],
  { mapping, defaults, matchBy, onDuplicate }: PlanRequest,
): void {
  const said = [...Object.values(mapping ?? {}).flat(), ...Object.keys(defaults), ...matchBy]
  const called = new Set(mapping ? [] : columns.map(spoken))
  const first = usually.find((path) => called.has(spoken(path)))
  const tells = onDuplicate !== 'create' && matchBy.length === 0 && first !== undefined ? [first] : []
  const refused = [...new Set([...said, ...tells].filter((path) => hidden.has(path)))]
  if (refused.length > 0)
    throw forbidden(`Your role does not let you see ${refused.join(', ')} of a ${entity.type}, nor import by it`)
}

/** Columns that are called as what they fill, in whatever spelling: `First Name`, `first_name`, `firstName`. */
function recognised(targets: ReadonlyMap<string, Target>, columns: readonly string[], request: PlanRequest): Mapping {
  const byName = new Map([...targets.keys()].map((path) => [spoken(path), path]))
  const taken = new Set<string>()
  const mapping: Record<string, string> = Object.create(null)
  for (const column of columns) {
    const path = targets.has(column) ? column : byName.get(spoken(column))
    const target = path === undefined ? undefined : targets.get(path)
    if (path === undefined || !target || taken.has(filledBy(target))) continue
    if (target.kind === 'id' && !isToldById(request)) continue
    taken.add(filledBy(target))
    mapping[column] = path
  }
  return mapping
}

/** Whether the id of a row is looked at: records are made with new ones. */
const isToldById = ({ matchBy, onDuplicate }: PlanRequest): boolean =>
  onDuplicate !== 'create' && (matchBy.length === 0 || matchBy.includes('id'))

const idTellsNothing = 'id only tells which record a row is; with it say onDuplicate skip or update, and matchBy ["id"]'

const spoken = (name: string): string => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '')

/** What only one column can fill. */
const filledBy = (target: Target): string =>
  target.kind === 'pointer' && target.member !== null && !target.many ? target.member : target.path

function refuseTwice(columns: readonly ColumnTarget[], wrong: (path: string, message: string) => void): void {
  const seen = new Set<string>()
  for (const { column, target } of columns) {
    if (seen.has(filledBy(target))) wrong(`mapping.${column}`, `${target.path} is filled by another column already`)
    seen.add(filledBy(target))
  }
}

const matchable = new Set(['text', 'email', 'phone', 'url', 'number', 'date', 'choice', 'currency', 'ref'])

const usually = ['id', 'externalId', 'email', 'sku', 'domain']

/** Without `matchBy` a row is told by its id, its external id, its email, SKU or domain, whichever of them the table has first. */
function matchOf(
  entity: Entity,
  targets: ReadonlyMap<string, Target>,
  columns: readonly ColumnTarget[],
  defaults: Plan['defaults'],
  { matchBy, onDuplicate }: PlanRequest,
  wrong: (path: string, message: string) => void,
): Plan['matchBy'] {
  const given = new Set([...columns, ...defaults].flatMap(({ target }) => membersOf(target)))
  if (onDuplicate === 'create') {
    if (matchBy.length > 0) wrong('onDuplicate', 'must be skip or update when matchBy says what is the same record')
    return []
  }
  const usual = usually.find((path) => given.has(path))
  const paths = matchBy.length > 0 ? matchBy : usual ? [usual] : []
  if (paths.length === 0) wrong('matchBy', 'must say by which members a row is the same record')
  return paths.flatMap((path): Plan['matchBy'] => {
    const target = targets.get(path)
    if (!given.has(path)) wrong('matchBy', `${path} is filled by no column`)
    if (target?.kind === 'id') return ['id']
    const fits = target?.kind === 'value' && target.part === null && matchable.has(target.field.kind)
    if (!fits) wrong('matchBy', `${path} is not a member by which a ${entity.type} can be told`)
    return fits ? [target] : []
  })
}

const membersOf = (target: Target): string[] =>
  target.kind === 'pointer' && target.member !== null ? [target.path, target.member] : [target.path]

const listed = (columns: readonly string[]): string =>
  `${columns.slice(0, 30).join(', ')}${columns.length > 30 ? ` and ${columns.length - 30} more` : ''}`
