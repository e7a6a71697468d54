import type { CustomField } from '../../kernel/entity/custom.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { invalid, type MemberError } from '../../kernel/errors.ts'
import type { Rights } from '../../kernel/rights.ts'

/** A column of an export: its name, which an import understands, and its value in a record. */
export interface Column {
  readonly name: string
  /** The related record that the list must include for it. */
  readonly include: string | null
  read(record: Readonly<Record<string, unknown>>): unknown
}

/** Every column that an export of a noun can have, in their order; `usual` are those that it has when none are asked for. What is hidden has none. */
export function columnsOf(
  entity: Entity,
  custom: readonly CustomField[],
  fieldsOf: Rights['fields'],
): { all: readonly Column[]; usual: readonly Column[] } {
  const hides = (type: string, member: string): boolean => fieldsOf?.(type)?.hidden.has(member) ?? false
  const usual: Column[] = []
  const related: Column[] = []
  for (const [member, field] of Object.entries(entity.all)) {
    if (field.kind === 'customFields' || hides(entity.type, member)) continue
    const parts = Object.keys(field.parts ?? {})
    if (parts.length === 0) usual.push({ name: member, include: null, read: (record) => record[member] })
    for (const part of parts)
      usual.push({ name: `${member}.${part}`, include: null, read: (record) => partOf(record[member], part) })
    const { include, many } = field
    if (include === undefined || many) continue
    for (const part of ['name', 'email', 'domain', 'title'].filter((part) => !hides(field.ref ?? '', part)))
      related.push({ name: `${include}.${part}`, include, read: (record) => partOf(record[include], part) })
  }
  for (const { key } of hides(entity.type, 'customFields') ? [] : custom)
    usual.push({ name: `cf.${key}`, include: null, read: (record) => partOf(record.customFields, key) })
  return { all: [...usual, ...related], usual }
}

const partOf = (value: unknown, part: string): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).find(([name]) => name === part)?.[1] : undefined

/** The columns that were asked for; 400 names what is none. */
export function chosenColumns(
  columns: ReturnType<typeof columnsOf>,
  names: readonly string[] | undefined,
): readonly Column[] {
  if (names === undefined) return columns.usual
  const byName = new Map(columns.all.map((column) => [column.name, column]))
  const errors: MemberError[] = []
  const chosen = names.flatMap((name, index) => {
    const column = byName.get(name)
    if (!column)
      errors.push({ path: `columns.${index}`, message: `${name} is no column of this resource`, code: 'invalid_value' })
    return column ? [column] : []
  })
  if (errors.length > 0) throw invalid(errors)
  return chosen
}
