import { z } from 'zod'
import type { Ctx } from '../context.ts'
import { invalid, type MemberError } from '../errors.ts'
import { noCursor } from '../http/page.ts'
import { isId } from '../ids.ts'
import type { CustomField } from './custom.ts'
import { numberOf } from './custom.ts'
import type { Entity } from './define.ts'
import type { Field, Operator } from './fields.ts'

/** One condition of a list. */
export interface Filter {
  readonly name: string
  readonly operator: Operator
  /** As the driver sends it; an array for `in` and `nin`. */
  readonly value: unknown
  /** Of a custom field: its definition. */
  readonly custom?: CustomField
}

/** One key of the order. */
export interface Sort {
  readonly name: string
  readonly descending: boolean
  /** Of a custom field: its definition. */
  readonly custom?: CustomField
}

/** What a list was asked for, checked. */
export interface ListQuery {
  readonly filters: readonly Filter[]
  readonly sort: readonly Sort[]
  readonly limit: number
  readonly cursor: string | null
  readonly count: boolean
  readonly fields: readonly string[] | null
  readonly include: readonly string[]
  readonly q: string | null
}

/** Parameters of every list that are no filters. */
export const listParameterNames: ReadonlySet<string> = new Set([
  'limit',
  'cursor',
  'sort',
  'fields',
  'include',
  'count',
  'q',
])
const maxValues = 100

/**
 * Reads the query of a list. What is not offered is 400 and named; nothing is clamped or ignored. A list without `sort`
 * runs by `-createdAt`; with a filter on a member that takes ranges, by that member, so that an index gives the page in order.
 * `me` is who stands for the value `me` of a filter by user.
 */
export function readListQuery(
  entity: Entity,
  search: URLSearchParams,
  custom: readonly CustomField[],
  me?: string,
): ListQuery {
  const errors: MemberError[] = []
  const wrong = (path: string, message: string, code = 'invalid_value') => void errors.push({ path, message, code })
  const seen = new Set<string>()
  const filters: Filter[] = []
  for (const [parameter, text] of search) {
    const [, name = '', operator = 'eq'] = /^([^[\]]+)(?:\[([a-zA-Z]+)\])?$/.exec(parameter) ?? []
    // `name=` and `name[eq]=` are two spellings of one filter.
    const spelled = name === '' ? parameter : `${name}[${operator}]`
    if (seen.has(spelled)) wrong(parameter, 'must be given once', 'duplicate')
    seen.add(spelled)
    if (listParameterNames.has(parameter)) continue
    try {
      filters.push(readFilter(entity, name, operator, text, custom, me))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      wrong(parameter, error.message)
    }
  }
  const one = (name: string): string | null => search.get(name)
  const limit = Number(one('limit') ?? 50)
  if (one('limit') !== null && !/^\d{1,3}$/.test(one('limit') ?? ''))
    wrong('limit', 'must be a whole number from 1 to 200')
  else if (limit < 1 || limit > 200) wrong('limit', 'must be a whole number from 1 to 200')
  if (one('count') !== null && one('count') !== 'exact') wrong('count', 'must be exact')
  if (one('cursor') === '') wrong('cursor', noCursor)
  const q = one('q')
  if (q !== null && (q.trim() === '' || q.length > 200 || q.includes('\0'))) wrong('q', 'must have 1 to 200 characters')
  const fields = readNames(one('fields'), 'fields', (name) => entity.all[name] !== undefined, wrong)
  const includes = Object.values(entity.all).map((field) => field.include)
  const include = readNames(one('include'), 'include', (name) => includes.includes(name), wrong) ?? []
  const sort =
    (one('sort') === null ? defaultSort(entity, filters) : readSort(entity, one('sort') ?? '', custom, wrong)) ?? []
  if (errors.length > 0) throw invalid(errors)
  return {
    filters,
    sort,
    limit,
    cursor: one('cursor'),
    count: one('count') === 'exact',
    fields,
    include,
    q: q?.trim() ?? null,
  }
}

/** The members of one record that were asked for, for `GET /{r}/{id}`. */
export function readMembers(entity: Entity, search: URLSearchParams): Pick<ListQuery, 'fields' | 'include'> {
  const errors: MemberError[] = []
  const wrong = (path: string, message: string) => void errors.push({ path, message, code: 'invalid_value' })
  for (const name of new Set(search.keys())) {
    if (name !== 'fields' && name !== 'include') wrong(name, 'is not a parameter of this call')
    else if (search.getAll(name).length > 1) wrong(name, 'must be given once')
  }
  const includes = Object.values(entity.all).map((field) => field.include)
  const fields = readNames(search.get('fields'), 'fields', (name) => entity.all[name] !== undefined, wrong)
  const include = readNames(search.get('include'), 'include', (name) => includes.includes(name), wrong) ?? []
  if (errors.length > 0) throw invalid(errors)
  return { fields, include }
}

function readFilter(
  entity: Entity,
  name: string,
  operatorText: string,
  text: string,
  custom: readonly CustomField[],
  me: string | undefined,
): Filter {
  const isCustom = name.startsWith('cf.')
  const definition = isCustom ? custom.find((field) => `cf.${field.key}` === name) : undefined
  const field = isCustom ? undefined : entity.all[name]
  const offered: readonly Operator[] = definition ? customOperators(definition) : (field?.filter ?? [])
  if (offered.length === 0) throw new RangeError('is not a parameter or filter of this list')
  const operator = offered.find((known) => known === operatorText)
  if (!operator) throw new RangeError(`offers the operators ${offered.join(', ')}`)
  const parseAny = definition ? customParser(definition) : (field?.parseFilter ?? parseText)
  const isUser = definition?.type === 'user' || field?.ref === 'user'
  const parse = (item: string) => (isUser && item === 'me' && me !== undefined ? me : parseAny(item))
  const base = { name, operator, ...(definition ? { custom: definition } : {}) }
  if (operator === 'isNull') {
    if (text !== 'true' && text !== 'false') throw new RangeError('must be true or false')
    return { ...base, value: text === 'true' }
  }
  if (operator === 'in' || operator === 'nin') {
    const values = text.split(',').map((item) => parse(item.trim()))
    if (values.length > maxValues) throw new RangeError(`must name at most ${maxValues} values`)
    return { ...base, value: [...new Set(values)] }
  }
  return { ...base, value: operator === 'contains' || operator === 'startsWith' ? parseText(text) : parse(text) }
}

function parseText(text: string): string {
  if (text.includes('\0')) throw new RangeError('must not contain a NUL character')
  if (!text.isWellFormed() || text.includes('\uFFFD')) throw new RangeError('must be well-formed Unicode')
  if (text.length > 1_000) throw new RangeError('must have at most 1000 characters')
  return text
}

function customOperators(definition: CustomField): readonly Operator[] {
  const exact: readonly Operator[] = ['eq', 'ne', 'in', 'nin', 'isNull']
  if (definition.type === 'boolean' || definition.type === 'user') return exact
  return definition.type === 'number' || definition.type === 'date'
    ? [...exact, 'gt', 'gte', 'lt', 'lte']
    : [...exact, 'contains', 'startsWith']
}

function customParser(definition: CustomField): (text: string) => unknown {
  const check = customValues[definition.type]
  return (text) => {
    check?.(text, definition)
    return (
      numberOf(definition.type, text) ?? (definition.type === 'user' ? parseText(text).toLowerCase() : parseText(text))
    )
  }
}

/** What a filter's value must be, for the types that do not take any text. */
const customValues: Readonly<Record<string, (text: string, definition: CustomField) => void>> = {
  boolean: (text) => refuseUnless(text === 'true' || text === 'false', 'must be true or false'),
  number: (text) => refuseUnless(/^-?\d{1,15}(\.\d{1,10})?$/.test(text), 'must be a number'),
  date: (text) => refuseUnless(z.iso.date().safeParse(text).success, 'must be a date: YYYY-MM-DD'),
  user: (text) => refuseUnless(isId(text), 'must be the id of a user'),
  select: (text, { options }) => refuseUnless(options.includes(text), `must be one of ${options.join(', ')}`),
  multiselect: (text, { options }) => refuseUnless(options.includes(text), `must be one of ${options.join(', ')}`),
}

function refuseUnless(fits: boolean, message: string): void {
  if (!fits) throw new RangeError(message)
}

type Wrong = (path: string, message: string) => void

function readNames(
  text: string | null,
  parameter: string,
  offered: (name: string) => boolean,
  wrong: Wrong,
): string[] | null {
  if (text === null) return null
  const names = [...new Set(text.split(',').map((name) => name.trim()))]
  for (const name of names)
    if (!offered(name)) wrong(parameter, `${name.slice(0, 64) || 'an empty name'} is not offered here`)
  return names
}

function readSort(entity: Entity, text: string, custom: readonly CustomField[], wrong: Wrong): ListQuery['sort'] {
  const keys = text.split(',').map((key): Sort => {
    const name = key.trim().replace(/^-/, '')
    const definition = custom.find((field) => `cf.${field.key}` === name)
    return { name, descending: key.trim().startsWith('-'), ...(definition ? { custom: definition } : {}) }
  })
  const offered = sortsOf(entity)
  for (const { name, custom } of keys)
    if (!custom && !offered.includes(name))
      wrong('sort', `${name.slice(0, 64) || 'an empty name'} is not offered; sorts are ${offered.join(', ')}`)
  if (keys.length > 3) wrong('sort', 'must name at most 3 members')
  if (new Set(keys.map((key) => key.name)).size !== keys.length) wrong('sort', 'must not name a member twice')
  return keys
}

/** What a list can be sorted by, as people are told. */
export const sortsOf = (entity: Entity): string[] => [
  ...Object.entries(entity.all).flatMap(([name, field]) => (field.sort ? [name] : [])),
  ...(entity.all.customFields ? ['cf.<key> of a custom field'] : []),
]

const ranges = new Set<Operator>(['gt', 'gte', 'lt', 'lte'])

/** Whether a filter is on a member that takes ranges: one index holds it, in its own order. */
const isOrdered = (entity: Entity, { name, custom }: Filter): boolean =>
  custom
    ? customOperators(custom).includes('gt')
    : (entity.all[name]?.sort && fieldOf(entity, name).filter?.includes('gt')) === true

function defaultSort(entity: Entity, filters: readonly Filter[]): ListQuery['sort'] {
  const ordered = filters.filter((filter) => isOrdered(entity, filter))
  const ranged = ordered.find((filter) => ranges.has(filter.operator))
  const chosen = ranged ?? ordered.find(({ operator }) => operator === 'eq' || operator === 'in')
  if (!chosen || chosen.name === 'createdAt') return [{ name: 'createdAt', descending: true }]
  const { name, custom } = chosen
  return [{ name, descending: chosen !== ranged, ...(custom ? { custom } : {}) }]
}

/** Whose list it is, for cursors: another filter or sort makes another list. */
export function listIdentity(ctx: Ctx, entity: Entity, query: ListQuery): string {
  const { filters, sort, q } = query
  return JSON.stringify([
    ctx.tenantId,
    entity.type,
    filters.map(({ name, operator, value }) => [name, operator, value]).sort(),
    sort.map(({ name, descending, custom }) => [name, descending, custom?.id]),
    q,
  ])
}

/** A member of the definition, for the plan. */
export const fieldOf = (entity: Entity, name: string): Field => {
  const field = entity.all[name]
  if (!field) throw new Error(`${entity.type} has no member ${name}`)
  return field
}
