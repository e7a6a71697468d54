import type { CellField } from '../../kernel/entity/cells.ts'
import type { CustomField } from '../../kernel/entity/custom.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Rights } from '../../kernel/rights.ts'

/** A value of the record itself. */
export interface ValueTarget {
  readonly kind: 'value'
  /** As a mapping names it: `value`, `address.country`, `cf.region`. */
  readonly path: string
  readonly member: string
  /** The part of an object, or the key of a custom field. */
  readonly part: string | null
  readonly field: CellField
  /** Whether only one record may have a value of it. */
  readonly unique: boolean
}

/** Another record, by one of the members that it is named by. */
export interface PointerTarget {
  readonly kind: 'pointer'
  readonly path: string
  /** The member that takes its id; null: it is no member, but makes a line item. */
  readonly member: string | null
  readonly many: boolean
  readonly type: string
  readonly by: string
  /** It may stand further down in the same table. */
  readonly later: boolean
}

/** The id of the record itself, by which an export finds its records again. */
export interface IdTarget {
  readonly kind: 'id'
  readonly path: 'id'
}

/** What a column of a table, or a default, fills. */
export type Target = ValueTarget | PointerTarget | IdTarget

/** What columns may fill. */
export interface Targets {
  readonly byPath: ReadonlyMap<string, Target>
  /**
   * The paths of what the importer's role hides: neither is it his to write, nor may he find out by whom a row names, or by
   * which record it is, what he does not see.
   */
  readonly hidden: ReadonlySet<string>
}

/** Everything that a column may fill, and what of it a role hides. */
export function targetsOf(
  entity: Entity,
  registry: Registry,
  custom: readonly CustomField[],
  rights: Pick<Rights, 'fields'>,
): Targets {
  const targets = allOf(entity, registry, custom)
  const [hidden, seen] = [true, false].map((is) => targets.filter((target) => isHidden(entity, target, rights) === is))
  return {
    byPath: new Map(seen?.map((target) => [target.path, target])),
    hidden: new Set(hidden?.map(({ path }) => path)),
  }
}

function isHidden({ type }: Entity, target: Target, { fields }: Pick<Rights, 'fields'>): boolean {
  const hides = (of: string, ...names: string[]) => names.some((name) => fields?.(of)?.hidden.has(name) === true)
  if (target.kind === 'id') return false
  if (target.kind === 'value') return hides(type, target.member)
  const isLine = target.member === null
  const fills = isLine ? hides(type, 'value', 'lineItems') || hides('product', 'price') : hides(type, target.member)
  return fills || hides(target.type, target.by)
}

function allOf(entity: Entity, registry: Registry, custom: readonly CustomField[]): Target[] {
  const targets: Target[] = [{ kind: 'id', path: 'id' }]
  for (const [member, field] of Object.entries(entity.all)) {
    if (field.readOnly) continue
    const unique = member === 'externalId' || (entity.type === 'user' && member === 'email')
    targets.push({ kind: 'value', path: member, member, part: null, field, unique })
    for (const [part, ofPart] of Object.entries(field.parts ?? {}))
      targets.push({ kind: 'value', path: `${member}.${part}`, member, part, field: ofPart, unique: false })
    if (field.ref) targets.push(...pointersOf(entity, registry, member, field.ref, field.many === true))
  }
  for (const definition of custom) {
    const path = `cf.${definition.key}`
    const { key: part, unique } = definition
    targets.push({ kind: 'value', path, member: 'customFields', part, field: cellFieldOf(definition), unique })
  }
  if (entity.type === 'deal') targets.push(...lineOf(entity, registry))
  return targets
}

function pointersOf(
  entity: Entity,
  registry: Registry,
  member: string,
  type: string,
  many: boolean,
): readonly PointerTarget[] {
  const name = member.replace(/Ids?$/, '')
  return namesOf(registry, type).map((by) => {
    const path = `${name}.${by}`
    return { kind: 'pointer', path, member, many, type, by, later: type === entity.type && !many }
  })
}

/** A product that a deal names makes a line item of one. */
const lineOf = (entity: Entity, registry: Registry): readonly PointerTarget[] =>
  pointersOf(entity, registry, 'product', 'product', false).map((target) => ({ ...target, member: null }))

/** A stage is no noun of its own; it is found in the row's pipeline. */
const namesOf = (registry: Registry, type: string): readonly string[] =>
  type === 'stage' ? ['name'] : (registry.entities.get(type)?.namedBy ?? [])

const cellKinds: Readonly<Record<string, string>> = {
  number: 'decimal',
  boolean: 'flag',
  select: 'choice',
  multiselect: 'tags',
}

function cellFieldOf({ type, options }: CustomField): CellField {
  const kind = cellKinds[type] ?? type
  return type === 'select' || type === 'multiselect' ? { kind, choices: options } : { kind }
}
