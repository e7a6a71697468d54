import { isDeepStrictEqual } from 'node:util'
import type { Entity, Mergeable } from '../../kernel/entity/define.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { rule } from '../../kernel/errors.ts'

/** A record that takes part in a merge. */
export interface Part {
  readonly id: string
  readonly members: Values
}

/** Whose value is taken for which member. */
export type Take = Readonly<Record<string, string>>

/** The members that a record takes values for, and each custom field as a member of its own: `customFields.region`. */
export function membersOf(entity: Entity, record: Values): Record<string, unknown> {
  const members: Record<string, unknown> = Object.create(null)
  for (const [name, field] of Object.entries(entity.all)) {
    if (field.readOnly) continue
    if (field.kind !== 'customFields') members[name] = record[name] ?? null
    else for (const [key, value] of Object.entries(record[name] ?? {})) members[`${name}.${key}`] = value
  }
  return members
}

/** The member of a record that one of these stands in. */
export const memberOf = (name: string): string => (name.startsWith(customPrefix) ? 'customFields' : name)

/** The values of a record that several become: the first one's, where it has none the next one's; lists are united. */
export function combine(entity: Mergeable, held: readonly Part[], take: Take): Record<string, unknown> {
  const from = (name: string) =>
    held.find(({ id, members }) => (take[name] === undefined ? !isEmpty(members[name]) : id === take[name]))
  const result: Record<string, unknown> = Object.create(null)
  for (const name of new Set(held.flatMap(({ members }) => Object.keys(members)))) {
    const all = held.map(({ members }) => members[name])
    if (take[name] === undefined && isList(entity, name)) result[name] = united(entity, name, all)
    else if (take[name] === undefined && entity.sameness.any?.includes(name)) result[name] = all.includes(true)
    else result[name] = from(name)?.members[name] ?? held[0]?.members[name] ?? null
  }
  keepMoneyWithCurrency(entity, result, from, take)
  for (const [name, list] of Object.entries(entity.sameness.spare ?? {})) {
    const kept = normal(entity, list, result[name])
    const spare = held.map(({ members }) => members[name]).filter((value) => normal(entity, list, value) !== kept)
    if (take[list] === undefined) result[list] = united(entity, list, [result[list], spare])
  }
  for (const [name, value] of Object.entries(result)) refuseTooMany(entity, name, value)
  return result
}

/** The members in which two sets of values differ, with the values of the second. */
export function differences(before: Values, after: Values): Record<string, unknown> {
  const changed = Object.entries(after).filter(
    ([name, value]) => !isDeepStrictEqual(before[name] ?? null, value ?? null),
  )
  return Object.assign(Object.create(null), Object.fromEntries(changed))
}

/** Members as a record takes them: those of custom fields in one object with those that it has. */
export function asValues(record: Values, members: Values): Values {
  const values: Record<string, unknown> = {}
  const custom: Record<string, unknown> = Object.assign(Object.create(null), record.customFields)
  for (const [name, value] of Object.entries(members)) {
    if (!name.startsWith(customPrefix)) values[name] = value ?? null
    else if (value === null || value === undefined) delete custom[name.slice(customPrefix.length)]
    else custom[name.slice(customPrefix.length)] = value
  }
  return Object.keys(members).some((name) => name.startsWith(customPrefix))
    ? { ...values, customFields: custom }
    : values
}

const customPrefix = 'customFields.'

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === '' ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0)

const lists = new Set(['emails', 'phones', 'tags', 'refs', 'related'])

const isList = (entity: Entity, name: string): boolean => lists.has(entity.all[name]?.kind ?? '')

/** The first list as it is, and of the others what is not in it. */
function united(entity: Entity, name: string, [first, ...others]: readonly unknown[]): unknown[] {
  const all = Array.isArray(first) ? [...first] : []
  const known = new Set(all.map((value) => normal(entity, name, value)))
  for (const value of others.flat()) {
    const key = normal(entity, name, value)
    if (!isEmpty(value) && !known.has(key)) all.push(value)
    known.add(key)
  }
  return all
}

/** Addresses are the same in any case; of tags each spelling is one of its own. */
const normal = (entity: Entity, name: string, value: unknown): string =>
  entity.all[name]?.kind === 'emails' ? String(value).toLowerCase() : JSON.stringify(value)

/** An amount goes nowhere without the currency that it was in. */
function keepMoneyWithCurrency(
  entity: Entity,
  result: Record<string, unknown>,
  from: (name: string) => { members: Values } | undefined,
  take: Take,
): void {
  const named = (kind: string) => Object.keys(entity.all).filter((name) => entity.all[name]?.kind === kind)
  const source = named('money')
    .map(from)
    .find((found) => found !== undefined)
  for (const name of named('currency'))
    if (source && take[name] === undefined) result[name] = source.members[name] ?? result[name]
}

function refuseTooMany(entity: Entity, name: string, value: unknown): void {
  if (!isList(entity, name) || entity.all[name]?.schema.safeParse(value).success) return
  throw rule(
    'MERGE_TOO_LARGE',
    `Together they have more ${name} than a record takes; say with take.${name} whose to keep, or merge fewer`,
  )
}
