import { z } from 'zod'
import { defineEntity, type Entity } from '../../kernel/entity/define.ts'
import { currency, money, ref, ruled } from '../../kernel/entity/fields.ts'

const month = z.string().regex(/^(?!0000)\d{4}-(0[1-9]|1[0-2])$/, 'must be a month such as 2026-11')

const defined = defineEntity({
  type: 'target',
  path: 'targets',
  fields: {
    period: ruled(month, { required: true, fixed: true, sort: true, filter: ['eq', 'in'], example: '2026-11' }),
    userId: ref('user', { include: 'user', fixed: true }),
    teamId: ref('team', { include: 'team', fixed: true }),
    amount: money({ min: 0, required: true, filter: [], describe: 'The value of deals to be won' }),
    currency: currency({ filter: [] }),
  },
  title: (record) => String(record.period ?? ''),
  example: { period: '2026-11', amount: 250000, currency: 'USD' },
})

/** What is to be won in a month: by a user, by a team, or with neither by the whole tenant. One for each month and subject. */
export const target: Entity = {
  ...defined,
  createSchema: defined.createSchema.refine(({ userId, teamId }) => !userId || !teamId, {
    message: 'must be left out where userId is given: a target is of one of them, or of the whole tenant',
    path: ['teamId'],
  }),
}
