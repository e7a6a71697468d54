import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { refuseMissing } from '../../kernel/entity/write-values.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { groupings, readHome, readUnknown } from './forecast.queries.ts'
import { monthsOf, readForecast } from './forecast.ts'

/** The call that foretells what deals are to bring. */
export function forecastRoute(db: Database): Route {
  return route({
    method: 'get',
    path: '/deals/forecast',
    operationId: 'dealForecast',
    summary: 'What deals are to bring and have brought by month, owner or team, against the targets',
    description: `Open deals count in the month of their \`expectedCloseDate\`, won ones in that of their \`closedAt\` in the tenant's time zone. Amounts are in the tenant's currency, at the rate that is valid on that day; deals of a currency without one are counted but not summed, and told in \`unconverted\`. \`from\` and \`to\` are months or days, both included: twelve months from this one on unless said, at most ${mostMonths}. Targets are of whole months and of all pipelines: with \`pipelineId\` there are none.`,
    tag: 'deals',
    query: z.strictObject({
      from: momentSchema.optional(),
      to: momentSchema.optional(),
      groupBy: z.enum(groupings).default('month'),
      pipelineId: idSchema.optional(),
      ownerId: z.union([z.literal('me'), idSchema], { error: 'must be the id of a user, or me' }).optional(),
      teamId: idSchema.optional(),
    }),
    responses: { 200: { description: 'The forecast', schema: forecastSchema } },
    handle: async (ctx, { query }) => {
      refuseUnseen(ctx.rights, 'deal', summed)
      refuseUnseen(ctx.rights, 'target', ['amount'])
      const tx = db.tenant(ctx)
      const span = spanOf(query.from, query.to, (await readHome(tx)).today)
      const wish = { ...query, ...span, ownerId: query.ownerId === 'me' ? ctx.rights.userId : query.ownerId }
      refuseMissing(await readUnknown(tx, wish))
      return { status: 200, body: { ...span, groupBy: query.groupBy, ...(await readForecast(tx, wish)) } }
    },
  })
}

/** What its numbers would tell of deals. */
const summed = ['value', 'weightedValue', 'currency', 'pipelineId', 'status', 'expectedCloseDate', 'closedAt']

const mostMonths = 24

const momentSchema = z
  .string()
  .refine(
    (text) => /^(?!0000)\d{4}-\d{2}(-\d{2})?$/.test(text) && z.iso.date().safeParse(`${text}-01`.slice(0, 10)).success,
    {
      message: 'must be a month such as 2026-11 or a day such as 2026-11-21',
    },
  )

const named = z.object({ id: z.uuid(), name: z.string() }).nullable().optional()

// Whose role hides what deals are summed by is refused.
const forecastSchema = z
  .object({
    from: z.iso.date(),
    to: z.iso.date(),
    groupBy: z.enum(groupings),
    data: z.array(
      z.object({
        period: z.string().describe('The month: 2026-11'),
        owner: named,
        team: named,
        count: z.int().describe('Open deals'),
        value: z.number().describe('Of open deals'),
        weightedValue: z.number().describe('Of open deals: value × probability'),
        wonCount: z.int(),
        wonValue: z.number(),
        target: z.number().nullable(),
        attainment: z.number().nullable().describe('wonValue / target'),
        currency: z.string(),
      }),
    ),
    unconverted: z.array(
      z.object({ currency: z.string(), count: z.int(), value: z.number().describe('In that currency') }),
    ),
  })
  .register(sight, apart)

/** The days of a span; a month is its first day as the begin and its last one as the end. */
function spanOf(sentFrom: string | undefined, sentTo: string | undefined, today: string): { from: string; to: string } {
  const [thisMonth, lastMonth] = [today.slice(0, 7), sentTo?.slice(0, 7) ?? '9999-12']
  const from = firstOf(sentFrom ?? (lastMonth < thisMonth ? lastMonth : thisMonth))
  const to = lastOf(sentTo ?? monthAfter(from, usualMonths - 1))
  if (from > to) throw invalidMember(sentTo === undefined ? 'from' : 'to', 'the span must not end before it begins')
  if (monthsOf({ from, to }).length > mostMonths)
    throw invalidMember('to', `must be within ${mostMonths} months from from`)
  return { from, to }
}

const usualMonths = 12

const firstOf = (moment: string): string => (moment.length === 7 ? `${moment}-01` : moment)

function lastOf(moment: string): string {
  if (moment.length > 7) return moment
  const [year = 0, month = 0] = moment.split('-').map(Number)
  const day = new Date(0)
  day.setUTCFullYear(year, month, 0)
  return day.toISOString().slice(0, 10)
}

function monthAfter(day: string, months: number): string {
  const moment = new Date(`${day.slice(0, 7)}-01T00:00:00Z`)
  moment.setUTCMonth(moment.getUTCMonth() + months)
  return moment.getUTCFullYear() > 9999 ? '9999-12' : moment.toISOString().slice(0, 7)
}
