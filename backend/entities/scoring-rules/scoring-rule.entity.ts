import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, flag, integer, json, ruled, text, textSchema } from '../../kernel/entity/fields.ts'

/** What is scored, and the member that holds the score. */
export const scores = { contact: 'leadScore', lead: 'score' } as const satisfies Readonly<Record<string, string>>

export type Scored = keyof typeof scores

/** SQL over a row of `scoring_rules`: whether the rule counts. */
export const inForce = 'active and deleted_at is null and archived_at is null'

/** SQL over the row `o` of a record: whether its score is worked out by rules. */
export const hasRules = (type: Scored): string =>
  `exists (select 1 from scoring_rules w where w.tenant_id = o.tenant_id and w.resource = '${type}' and ${inForce})`

export const operators = [
  'eq',
  'ne',
  'in',
  'nin',
  'gt',
  'gte',
  'lt',
  'lte',
  'contains',
  'startsWith',
  'isNull',
  'withinDays',
  'olderThanDays',
] as const

export type RuleOperator = (typeof operators)[number]

const single = z.union([textSchema(1000), z.number(), z.boolean()])

/** What gives points to a contact or a lead, or takes them: a score is the sum of the points of the rules that match. */
export const scoringRule = defineEntity({
  type: 'scoring_rule',
  path: 'scoring-rules',
  table: 'scoring_rules',
  fields: {
    resource: choice(['contact', 'lead'] satisfies [Scored, ...Scored[]], {
      required: true,
      fixed: true,
      filter: ['eq', 'in'],
    }),
    name: text({ required: true, max: 100, sort: true, filter: ['contains', 'startsWith'] }),
    field: ruled(textSchema(100), {
      required: true,
      filter: [],
      describe: 'A member, a custom field as cf.key, or a count such as interactions.last30Days, deals.open',
    }),
    operator: choice(operators, {
      required: true,
      filter: [],
      describe: 'withinDays and olderThanDays compare a time with now',
    }),
    value: json(z.union([single, z.array(single).min(1).max(100)]), {
      describe: 'What the field is compared with: a list for in and nin, true or false for isNull',
    }),
    points: integer({ min: -100, max: 100, required: true, filter: [] }),
    active: flag({ default: true, filter: ['eq'] }),
  },
  title: (record) => String(record.name ?? ''),
  example: {
    resource: 'contact',
    name: 'Decides',
    field: 'jobTitle',
    operator: 'contains',
    value: 'chief',
    points: 20,
  },
})
