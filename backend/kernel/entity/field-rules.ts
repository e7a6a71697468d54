import { forbidden } from '../errors.ts'
import type { FieldRules, Rights } from '../rights.ts'
import { isObject } from '../sight.ts'
import { hiddenOfName, nameFor } from './called.ts'
import type { Entity } from './define.ts'
import type { ListQuery } from './list-query.ts'
import type { Registry } from './registry.ts'

/** A record without the members that are hidden, and called by what is seen of it; undefined rules hide none. */
export function seenMembers(
  entity: Entity,
  rules: FieldRules | undefined,
  record: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (!rules) return record
  const seen = Object.fromEntries(Object.entries(record).filter(([name]) => !rules.hidden.has(name)))
  const name = 'name' in seen ? nameFor(entity, rules, record) : undefined
  return name === undefined ? seen : { ...seen, name }
}

/** A record without the members that are hidden, also in the records that are included in it. */
export function maskRecord(
  registry: Registry,
  entity: Entity,
  rights: Pick<Rights, 'fields'>,
  value: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const shown = Object.entries(seenMembers(entity, rights.fields?.(entity.type), value))
  const included = new Map(
    Object.values(entity.all).flatMap(({ include, ref }) => {
      const target = ref === undefined ? undefined : registry.entities.get(ref)
      return include !== undefined && target ? [[include, target] as const] : []
    }),
  )
  return Object.fromEntries(
    shown.map(([name, member]) => {
      const target = included.get(name)
      if (!target) return [name, member]
      const one = (record: unknown) => (isObject(record) ? maskRecord(registry, target, rights, record) : record)
      return [name, Array.isArray(member) ? member.map(one) : one(member)]
    }),
  )
}

/** Changes of a record without those of members that are hidden, or worked out from such. */
export function seenChanges<Change extends { readonly field: string }>(
  entity: Entity | undefined,
  rules: FieldRules,
  changes: readonly Change[],
): Change[] {
  const tells = entity && hiddenOfName(entity, rules).length > 0 ? 'name' : undefined
  return changes.filter(({ field }) => !rules.hidden.has(field) && field !== tells)
}

/** Those of some members that a caller's role does not let him write: hidden ones, and those that are read-only. */
export function unwritableOf(rights: Rights, { type }: Entity, names: readonly string[]): string[] {
  const rules = rights.fields?.(type)
  return rules ? names.filter((name) => rules.hidden.has(name) || rules.readOnly.has(name)) : []
}

/** Throws 403 that names the members which a caller's role does not let him write. */
export function refuseUnwritable(rights: Rights, entity: Entity, names: readonly string[]): void {
  const { type } = entity
  const refused = unwritableOf(rights, entity, names)
  if (refused.length > 0) throw forbidden(`Your role may not write ${refused.join(', ')} of a ${type}`)
}

/** Throws 403 that names the members of a type that a sum, or what is made of them, would tell of though a caller's role hides them. */
export function refuseUnseen(rights: Rights, type: string, names: readonly string[]): void {
  const hidden = rights.fields?.(type)?.hidden
  const refused = names.filter((name) => hidden?.has(name))
  if (refused.length > 0)
    throw forbidden(`Your role may not see ${refused.join(', ')} of a ${type}, nor what is made of it`)
}

/** Throws 403 that names the members by which a list would tell what a caller's role hides. */
export function refuseHidden(
  rights: Rights,
  entity: Entity,
  query: Pick<ListQuery, 'fields' | 'include'> & Partial<Pick<ListQuery, 'filters' | 'sort'>>,
): void {
  const rules = rights.fields?.(entity.type)
  if (!rules) return
  const { filters = [], sort = [], fields, include } = query
  const pointers = Object.entries(entity.all).filter(([, field]) => include.includes(field.include ?? ''))
  const asked = [
    ...[...filters, ...sort].flatMap(({ name, custom }) => {
      if (custom) return ['customFields']
      return name === 'name' ? [name, ...hiddenOfName(entity, rules)] : [name]
    }),
    ...(fields ?? []),
    ...pointers.map(([name]) => name),
  ]
  const refused = [...new Set(asked.filter((name) => rules.hidden.has(name)))]
  if (refused.length > 0) throw forbidden(`Your role may not see ${refused.join(', ')} of a ${entity.type}`)
}
