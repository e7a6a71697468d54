import { z } from 'zod'
import type { Catalogue } from '../../events.ts'
import type { Database } from '../../kernel/db/database.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { fromSchema, toSchema } from './moment.ts'
import { countActivities, groupings } from './statistics.queries.ts'
import { visibilityOf } from './visibility.ts'

/** The call that counts activities of a span by group. */
export function statisticsRoute({ db, catalogue }: { db: Database; catalogue: Catalogue }): Route {
  return route({
    method: 'get',
    path: '/timeline/statistics',
    operationId: 'countActivities',
    summary: 'How much was done, by action, type, actor or time',
    description: `The last ${usualDays} days unless said; at most ${mostDays} days. Days, weeks and months are those of UTC.`,
    tag: 'timeline',
    query: z.strictObject({
      from: fromSchema.optional(),
      to: toSchema.optional(),
      groupBy: z.enum(groupings).default('action'),
    }),
    responses: { 200: { description: 'Groups with their counts', schema: statisticsSchema } },
    handle: async (ctx, { query }) => {
      const { groupBy, ...sent } = query
      const span = spanOf(sent.from, sent.to)
      const data = await countActivities(db.tenant(ctx), visibilityOf(ctx, catalogue), span, groupBy)
      const total = data.reduce((sum, { count }) => sum + count, 0)
      return { status: 200, body: { ...span, groupBy, total, data } }
    },
  })
}

const usualDays = 30
const mostDays = 366
const oneDay = 86_400_000

const statisticsSchema = z
  .object({
    from: z.iso.datetime({ precision: 3 }),
    to: z.iso.datetime({ precision: 3 }),
    groupBy: z.enum(groupings),
    total: z.int(),
    data: z.array(
      z.object({
        key: z.string().nullable().describe("The action, type, actor's id (null: the system) or first day of the span"),
        label: z.string(),
        count: z.int(),
      }),
    ),
  })
  .register(sight, apart)

function spanOf(sentFrom: string | undefined, sentTo: string | undefined): { from: string; to: string } {
  const end = sentTo === undefined ? (sentFrom === undefined ? new Date() : endOf(sentFrom)) : new Date(sentTo)
  const begin =
    sentFrom === undefined ? new Date(Math.max(firstMoment, end.getTime() - usualDays * oneDay)) : new Date(sentFrom)
  if (begin > end) throw invalidMember(sentTo === undefined ? 'from' : 'to', 'the span must not end before it begins')
  if (end.getTime() - begin.getTime() > mostDays * oneDay)
    throw invalidMember('from', `must be at most ${mostDays} days before to`)
  return { from: begin.toISOString(), to: end.toISOString() }
}

const firstMoment = new Date('0001-01-01T00:00:00.000Z').getTime()

/** Without an end a span goes on until now, or as long as one may be. */
const endOf = (from: string): Date => new Date(Math.min(Date.now(), new Date(from).getTime() + mostDays * oneDay))
