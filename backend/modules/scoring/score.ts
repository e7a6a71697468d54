import type { RuleOperator } from '../../entities/scoring-rules/scoring-rule.entity.ts'

/** A rule as it is applied. */
export interface Rule {
  readonly id: string
  readonly name: string
  readonly field: string
  readonly operator: RuleOperator
  readonly value: unknown
  readonly points: number
}

/** A part of a score: the rule that gave it, or null where something else did. */
export interface Reason {
  readonly id: string | null
  readonly name: string
  readonly points: number
  readonly why: string
}

/** A score and what it is the sum of. */
export interface Explanation {
  readonly score: number
  readonly rules: readonly Reason[]
}

/** The score of a record (as the API shows it, with its counts by their names): the sum of its reasons, whatever they are. */
export function explain(rules: readonly Rule[], record: Readonly<Record<string, unknown>>, now: Date): Explanation {
  const reasons = rules.flatMap((rule): Reason[] => {
    const actual = held(record, rule.field)
    if (!matches(rule, actual, now)) return []
    const { id, name, points } = rule
    return [{ id, name, points, why: inWords(rule, actual) }]
  })
  const sum = reasons.reduce((total, { points }) => total + points, 0)
  if (sum >= 0) return { score: sum, rules: reasons }
  const floor = { id: null, name: 'No score is below 0', points: -sum, why: `the rules come to ${sum}` }
  return { score: 0, rules: [...reasons, floor] }
}

function held(record: Readonly<Record<string, unknown>>, field: string): unknown {
  if (!field.startsWith('cf.')) return record[field] ?? null
  const custom: Readonly<Record<string, unknown>> = Object(record.customFields)
  return Object.hasOwn(custom, field.slice(3)) ? custom[field.slice(3)] : null
}

function matches({ operator, value }: Rule, actual: unknown, now: Date): boolean {
  const values = listOf(actual).filter((one) => one !== null && one !== undefined)
  return tests[operator](values, value, now)
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value])

type Test = (values: readonly unknown[], wanted: unknown, now: Date) => boolean

const isAny: Test = (values, wanted) => values.some((value) => listOf(wanted).includes(value))

const compared =
  (holds: (order: number) => boolean): Test =>
  (values, wanted) =>
    values.some((value) => {
      const order = orderOf(value, wanted)
      return order !== null && holds(order)
    })

/** Times and dates are text that sorts as they do; what cannot be compared is in no order. */
function orderOf(a: unknown, b: unknown): number | null {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return null
}

const spoken =
  (holds: (text: string, part: string) => boolean): Test =>
  (values, wanted) =>
    values.some((value) => holds(String(value).toLowerCase(), String(wanted).toLowerCase()))

const daysSince = (value: unknown, now: Date): number => (now.getTime() - Date.parse(String(value))) / 86_400_000

const tests: Readonly<Record<RuleOperator, Test>> = {
  eq: isAny,
  ne: (...asked) => !isAny(...asked),
  in: isAny,
  nin: (...asked) => !isAny(...asked),
  gt: compared((order) => order > 0),
  gte: compared((order) => order >= 0),
  lt: compared((order) => order < 0),
  lte: compared((order) => order <= 0),
  contains: spoken((text, part) => text.includes(part)),
  startsWith: spoken((text, part) => text.startsWith(part)),
  isNull: (values, wanted) => (values.length === 0) === wanted,
  withinDays: (values, wanted, now) =>
    values.some((value) => daysSince(value, now) >= 0 && daysSince(value, now) <= Number(wanted)),
  olderThanDays: (values, wanted, now) => values.some((value) => daysSince(value, now) > Number(wanted)),
}

const words: Readonly<Record<RuleOperator, (wanted: string) => string>> = {
  eq: (wanted) => `is ${wanted}`,
  ne: (wanted) => `is not ${wanted}`,
  in: (wanted) => `is one of ${wanted}`,
  nin: (wanted) => `is none of ${wanted}`,
  gt: (wanted) => `is above ${wanted}`,
  gte: (wanted) => `is at least ${wanted}`,
  lt: (wanted) => `is below ${wanted}`,
  lte: (wanted) => `is at most ${wanted}`,
  contains: (wanted) => `contains ${wanted}`,
  startsWith: (wanted) => `begins with ${wanted}`,
  isNull: (wanted) => (wanted === 'true' ? 'has no value' : 'has a value'),
  withinDays: (wanted) => `is within ${wanted} days`,
  olderThanDays: (wanted) => `is more than ${wanted} days ago`,
}

function inWords({ field, operator, value }: Rule, actual: unknown): string {
  const asked = `${field} ${words[operator](printed(value))}`
  return operator === 'isNull' && value === true ? asked : `${asked}: it is ${printed(actual)}`
}

function printed(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return value.length === 0 ? 'empty' : value.map(printed).join(', ')
  return typeof value === 'string' ? `“${value.slice(0, 200)}”` : String(value)
}
