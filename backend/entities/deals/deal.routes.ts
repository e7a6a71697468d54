import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import { idSchema, textSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { noBody, verbRoute } from '../../kernel/entity/verb-route.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { lose, move, reopen, win } from './deal.actions.ts'
import { deal } from './deal.entity.ts'
import { readBoard, readStays } from './deal.queries.ts'
import { forecastRoute } from './forecast.routes.ts'
import type { House } from './line-item.actions.ts'
import { lineItemRoutes } from './line-item.routes.ts'

/** What is special about deals: the verbs, their way through the stages, the board and the forecast. */
export function dealRoutes(house: House & { db: Database; records: Repository }): Route[] {
  const { db, records: deals } = house
  return [
    ...lineItemRoutes(db, house),
    verbRoute(
      db,
      deal,
      {
        name: 'move',
        summary: 'Move a deal to a stage',
        body: z.strictObject({ stageId: idSchema, position: z.number().min(-1e15).max(1e15).optional() }),
      },
      (tx, id, body, expected) => move(tx, deals, id, body, expected),
    ),
    verbRoute(db, deal, { name: 'win', summary: 'Win a deal', body: noBody }, (tx, id, _body, expected) =>
      win(tx, deals, id, expected),
    ),
    verbRoute(
      db,
      deal,
      {
        name: 'lose',
        summary: 'Lose a deal',
        body: z.strictObject({ reason: textSchema(1000).optional() }).optional(),
      },
      (tx, id, body, expected) => lose(tx, deals, id, body?.reason, expected),
    ),
    verbRoute(
      db,
      deal,
      { name: 'reopen', summary: 'Take a won or lost deal up again', body: noBody },
      (tx, id, _body, expected) => reopen(tx, deals, id, expected),
    ),
    route({
      method: 'get',
      path: '/deals/{id}/stages',
      operationId: 'listDealStages',
      summary: 'The stages that a deal has been in, and for how long',
      tag: 'deals',
      params: z.object({ id: idSchema }),
      responses: {
        200: { description: 'Its stays, the first one first', schema: z.object({ data: z.array(staySchema) }) },
      },
      problems: [404],
      handle: async (ctx, { params }) => {
        refuseUnseen(ctx.rights, 'deal', ['pipelineId', 'stageId', 'stageEnteredAt'])
        const tx = db.tenant(ctx)
        await deals.get(tx, params.id, ['id'])
        return { status: 200, body: { data: await readStays(tx, params.id) } }
      },
    }),
    forecastRoute(db),
    route({
      method: 'get',
      path: '/deals/board',
      operationId: 'dealBoard',
      summary: 'The stages of a pipeline with their sums and first cards',
      tag: 'deals',
      query: z.strictObject({ pipelineId: idSchema.optional() }),
      responses: { 200: { description: 'The board', schema: z.object({ data: z.array(laneSchema) }) } },
      problems: [404],
      handle: async (ctx, { query }) => {
        refuseUnseen(ctx.rights, 'deal', ['value', 'weightedValue', 'currency', 'pipelineId', 'stageId', 'status'])
        return { status: 200, body: { data: await readBoard(db.tenant(ctx), query.pipelineId) } }
      },
    }),
  ]
}

// Whose role hides what deals are summed by, or the stages that they are in, is refused.
const staySchema = z
  .object({
    stageId: z.uuid(),
    stageName: z.string(),
    pipelineId: z.uuid(),
    enteredAt: z.iso.datetime({ precision: 3 }),
    leftAt: z.iso.datetime({ precision: 3 }).nullable().describe('null: it is there now'),
    enteredById: z.uuid().nullable().describe('Who brought it there; null: the system'),
    seconds: z.number().describe('How long it was there, or has been until now'),
  })
  .register(sight, apart)

const sum = z.number().register(sight, apart)

const laneSchema = z.object({
  stage: z
    .object({
      id: z.uuid(),
      name: z.string(),
      kind: z.enum(['open', 'won', 'lost']),
      probability: z.int(),
      order: z.int(),
      rottingDays: z.int().nullable(),
    })
    .register(sight, apart),
  count: sum,
  value: sum,
  weightedValue: sum,
  otherCurrencies: sum,
  cards: z.array(deal.recordSchema),
})
