import fc from 'fast-check'
import { expect, test } from 'vitest'
import { operators } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import { explain, type Rule } from './score.ts'

const now = new Date('2026-11-21T12:00:00.000Z')
const rule = (more: Partial<Rule>): Rule => ({
  id: crypto.randomUUID(),
  name: 'Rule',
  field: 'jobTitle',
  operator: 'eq',
  value: 'Chief',
  points: 10,
  ...more,
})
const scoreOf = (record: Record<string, unknown>, more: Partial<Rule>) => explain([rule(more)], record, now).score

test.each([
  [{ jobTitle: 'Chief' }, {}, true],
  [{ jobTitle: 'chief' }, {}, false],
  [{ jobTitle: 'The Chief Engineer' }, { operator: 'contains', value: 'cHIEF' }, true],
  [{ jobTitle: 'Chief of staff' }, { operator: 'startsWith', value: 'chief' }, true],
  [{ jobTitle: 'The Chief' }, { operator: 'startsWith', value: 'chief' }, false],
  [{ jobTitle: null }, { operator: 'ne' }, true],
  [{ jobTitle: null }, { operator: 'contains', value: 'null' }, false],
  [{}, { operator: 'isNull', value: true }, true],
  [{ jobTitle: '' }, { operator: 'isNull', value: false }, true],
  [{ tags: [] }, { field: 'tags', operator: 'isNull', value: true }, true],
  [{ tags: ['vip', 'new'] }, { field: 'tags', value: 'new' }, true],
  [{ tags: ['vip'] }, { field: 'tags', operator: 'nin', value: ['new', 'vip'] }, false],
  [{ tags: ['vip'] }, { field: 'tags', operator: 'in', value: ['new', 'vip'] }, true],
  [{ 'deals.open': 3 }, { field: 'deals.open', operator: 'gte', value: 3 }, true],
  [{ 'deals.open': 10 }, { field: 'deals.open', operator: 'lt', value: 9 }, false],
  [{ 'deals.open': '10' }, { field: 'deals.open', operator: 'gt', value: 9 }, false],
  [{ customFields: { size: 5 } }, { field: 'cf.size', operator: 'lte', value: 5 }, true],
  [{ customFields: {} }, { field: 'cf.constructor', operator: 'isNull', value: true }, true],
  [{ seen: '2026-11-20T12:00:00.000Z' }, { field: 'seen', operator: 'withinDays', value: 1 }, true],
  [{ seen: '2026-11-20T11:59:59.999Z' }, { field: 'seen', operator: 'withinDays', value: 1 }, false],
  [{ seen: '2026-11-22T00:00:00.000Z' }, { field: 'seen', operator: 'withinDays', value: 9 }, false],
  [{ seen: '2026-11-20' }, { field: 'seen', operator: 'olderThanDays', value: 1 }, true],
  [{ seen: null }, { field: 'seen', operator: 'olderThanDays', value: 1 }, false],
  [{ seen: '2026-11-20' }, { field: 'seen', operator: 'gt', value: '2026-11-19' }, true],
] as const)('%j under %j: %j', (record, more, holds) => {
  expect(scoreOf(record, more)).toBe(holds ? 10 : 0)
})

test('a score says why, and never falls below 0', () => {
  const rules = [
    rule({ name: 'Decides', operator: 'contains', value: 'chief', points: 20 }),
    rule({ name: 'Silent', field: 'lastContactedAt', operator: 'isNull', value: true, points: -50 }),
    rule({ name: 'Other', value: 'Clerk' }),
  ]
  const { score, rules: reasons } = explain(rules, { jobTitle: 'Chief Clerk', lastContactedAt: null }, now)
  expect(score).toBe(0)
  expect(reasons.map(({ name, points, why }) => [name, points, why])).toEqual([
    ['Decides', 20, 'jobTitle contains “chief”: it is “Chief Clerk”'],
    ['Silent', -50, 'lastContactedAt has no value'],
    ['No score is below 0', 30, 'the rules come to -30'],
  ])
})

test('property: whatever the rules and the record, the score is the sum of its explanation', () => {
  const single = fc.oneof(
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.date({ noInvalidDate: true }).map((day) => day.toISOString()),
  )
  const value = fc.oneof(single, fc.array(single))
  const name = fc.constantFrom('jobTitle', 'tags', 'deals.open', 'cf.size', 'cf.__proto__', 'address')
  const rules = fc.array(
    fc.record({
      id: fc.uuid(),
      name: fc.string(),
      field: name,
      operator: fc.constantFrom(...operators),
      value,
      points: fc.integer({ min: -100, max: 100 }),
    }),
    { maxLength: 30 },
  )
  const record = fc.record(
    { jobTitle: value, tags: value, 'deals.open': value, customFields: fc.dictionary(fc.string(), value) },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(rules, record, (chosen, held) => {
      const { score, rules: reasons } = explain(chosen, held, now)
      expect(score).toBe(reasons.reduce((sum, { points }) => sum + points, 0))
      expect(score).toBeGreaterThanOrEqual(0)
      for (const { id, points, why } of reasons) {
        if (id !== null) expect(chosen.find((one) => one.id === id)?.points).toBe(points)
        expect(why).not.toBe('')
      }
    }),
  )
})
