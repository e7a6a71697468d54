import { z } from 'zod'
import type { Entity } from '../../kernel/entity/define.ts'
import { date, filledSchema, idSchema, instantSchema } from '../../kernel/entity/fields.ts'
import type { RuleOperator, Scored } from './scoring-rule.entity.ts'

/** What a rule can ask of a field: its operators, and what each is compared with. */
export interface RuleField {
  readonly operators: readonly RuleOperator[]
  valueOf(operator: RuleOperator): z.ZodType
}

/** What is counted around a record, by what it is a count of. */
export const counts: Readonly<Record<Scored, readonly string[]>> = {
  contact: ['interactions.count', 'interactions.last30Days', 'interactions.last90Days', 'deals.open', 'deals.won'],
  lead: ['interactions.count', 'interactions.last30Days', 'interactions.last90Days'],
}

/** The members that a field of a rule is made of, by their nouns: of a count those that say what is counted. */
export function membersOf(type: Scored, field: string): readonly { readonly type: string; readonly member: string }[] {
  const [noun = '', what = ''] = field.split('.')
  if (noun === 'cf') return [{ type, member: 'customFields' }]
  const of = counted[noun]
  if (!of || what === '') return [{ type, member: field }]
  return of.members.map((member) => ({ type: of.type, member }))
}

const counted: Readonly<Record<string, { readonly type: string; readonly members: readonly string[] }>> = {
  interactions: { type: 'interaction', members: ['participants', 'related', 'occurredAt'] },
  deals: { type: 'deal', members: ['contactIds', 'status'] },
}

/** A member, or a count, as a rule sees it; undefined when it cannot be asked for. */
export function memberField(entity: Entity, scoreMember: string, name: string): RuleField | undefined {
  const counted = Object.entries(counts).some(([type, names]) => type === entity.type && names.includes(name))
  if (counted) return fieldOf('number', z.number())
  // What the score itself moves would never come to rest.
  if (name === scoreMember || name === 'updatedAt' || name === 'version') return undefined
  const field = entity.all[name]
  const family = field && families[field.kind]
  return family && fieldOf(family, family === 'choice' ? field.schema : singles[family](field.kind))
}

/** A custom field as a rule sees it. */
export function customRuleField(definition: { type: string; options: readonly string[] }): RuleField | undefined {
  const family = customFamilies[definition.type]
  if (!family) return undefined
  const option = z.string().refine((value) => definition.options.includes(value), {
    message: `must be one of ${definition.options.join(', ')}`,
  })
  return fieldOf(family, definition.options.length > 0 ? option : singles[family](definition.type))
}

type Family = 'text' | 'number' | 'moment' | 'flag' | 'choice' | 'id' | 'list'

const families: Readonly<Record<string, Family>> = {
  text: 'text',
  longText: 'text',
  email: 'text',
  phone: 'text',
  url: 'text',
  number: 'number',
  decimal: 'number',
  money: 'number',
  date: 'moment',
  time: 'moment',
  flag: 'flag',
  choice: 'choice',
  currency: 'choice',
  ref: 'id',
  refs: 'list',
  tags: 'list',
  emails: 'list',
  phones: 'list',
}

const customFamilies: Readonly<Record<string, Family>> = {
  text: 'text',
  url: 'text',
  email: 'text',
  phone: 'text',
  number: 'number',
  date: 'moment',
  boolean: 'flag',
  select: 'choice',
  multiselect: 'list',
  user: 'id',
}

const word = filledSchema(1000)

/** A date may stand for the time at which it begins. */
const moment = z.union([instantSchema, z.iso.date().transform((day) => `${day}T00:00:00.000Z`)], {
  error: 'must be a date or an RFC 3339 time',
})

const singles: Readonly<Record<Family, (kind: string) => z.ZodType>> = {
  text: () => word,
  number: () => z.number({ error: 'must be a number' }),
  moment: (kind) => (kind === 'date' ? date().schema : moment),
  flag: () => z.boolean({ error: 'must be true or false' }),
  choice: () => word,
  id: () => idSchema,
  list: () => word,
}

const offered: Readonly<Record<Family, readonly RuleOperator[]>> = {
  text: ['eq', 'ne', 'in', 'nin', 'contains', 'startsWith', 'isNull'],
  number: ['eq', 'ne', 'in', 'nin', 'gt', 'gte', 'lt', 'lte', 'isNull'],
  moment: ['gt', 'gte', 'lt', 'lte', 'withinDays', 'olderThanDays', 'isNull'],
  flag: ['eq', 'ne'],
  choice: ['eq', 'ne', 'in', 'nin', 'isNull'],
  id: ['eq', 'ne', 'in', 'nin', 'isNull'],
  list: ['eq', 'ne', 'in', 'nin', 'contains', 'isNull'],
}

const days = z.int({ error: 'must be a number of days' }).min(0).max(36_500)

function fieldOf(family: Family, single: z.ZodType): RuleField {
  const values: Partial<Record<RuleOperator, z.ZodType>> = {
    in: z.array(single, { error: 'must be a list' }).min(1).max(100),
    nin: z.array(single, { error: 'must be a list' }).min(1).max(100),
    isNull: z.boolean({ error: 'must be true or false' }),
    contains: word,
    startsWith: word,
    withinDays: days,
    olderThanDays: days,
  }
  return { operators: offered[family], valueOf: (operator) => values[operator] ?? single }
}
