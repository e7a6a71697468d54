import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { notFound } from '../../kernel/errors.ts'
import { etagOf, noneMatches, readIfMatch } from '../../kernel/http/etag.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { addLine, changeLine, type House, mostLines, refuseUnseenLines, removeLine } from './line-item.actions.ts'
import { findLine, readLines } from './line-item.queries.ts'
import { changedLineSchema, type LineItem, lineItemSchema, newLineSchema } from './line-item.ts'

/** The lines of a deal. Who may change the deal may change them, and each change is one of the deal. */
export function lineItemRoutes(db: Database, house: House): Route[] {
  const all = '/deals/{id}/line-items'
  const one = `${all}/{lineId}`
  const ofDeal = z.object({ id: idSchema })
  const ofLine = z.object({ id: idSchema, lineId: idSchema })
  const line = { description: 'The line', schema: lineItemSchema, headers: ['ETag'] }
  return [
    route({
      method: 'get',
      path: all,
      operationId: 'listLineItems',
      summary: 'The lines of a deal in their order, and what they come to',
      tag: 'deals',
      params: ofDeal,
      responses: {
        200: { description: 'All its lines', schema: linesSchema },
      },
      handle: async (ctx, { params }) => {
        const tx = db.tenant(ctx)
        refuseUnseenLines(tx)
        await house.repository('deal').get(tx, params.id, ['id'])
        const { lines, totals } = await readLines(tx, params.id)
        return { status: 200, body: { data: lines, page: { limit: mostLines, nextCursor: null }, totals } }
      },
    }),
    route({
      method: 'post',
      path: all,
      operationId: 'addLineItem',
      summary: 'Add a line to a deal',
      description: valueRules,
      tag: 'deals',
      params: ofDeal,
      body: newLineSchema,
      responses: { 201: { ...line, headers: ['ETag', 'Location'] } },
      handle: async (ctx, { params, body }) => {
        const made = await db.transaction(ctx, (tx) => addLine(tx, house, params.id, body))
        const answer = lineAnswer(made)
        const Location = `/api/v1/deals/${params.id}/line-items/${made.id}`
        return { ...answer, status: 201, headers: { ...answer.headers, Location } }
      },
    }),
    route({
      method: 'get',
      path: one,
      operationId: 'getLineItem',
      summary: 'Read a line of a deal',
      tag: 'deals',
      params: ofLine,
      responses: { 200: line, 304: { description: 'Not modified', schema: null } },
      handle: async (ctx, { params, header }) => {
        const tx = db.tenant(ctx)
        refuseUnseenLines(tx)
        await house.repository('deal').get(tx, params.id, ['id'])
        const found = await findLine(tx, params.id, params.lineId)
        if (!found) throw notFound('This deal has no such line')
        const answer = lineAnswer(found)
        return noneMatches(header('If-None-Match'), found.version)
          ? { status: 304, headers: answer.headers ?? {} }
          : answer
      },
    }),
    route({
      method: 'patch',
      path: one,
      operationId: 'changeLineItem',
      summary: 'Change a line of a deal',
      description: valueRules,
      tag: 'deals',
      params: ofLine,
      body: changedLineSchema,
      responses: { 200: line },
      problems: [412, 422],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return lineAnswer(
          await db.transaction(ctx, (tx) => changeLine(tx, house, params.id, params.lineId, body, expected)),
        )
      },
    }),
    route({
      method: 'delete',
      path: one,
      operationId: 'removeLineItem',
      summary: 'Take a line out of a deal',
      tag: 'deals',
      params: ofLine,
      responses: { 204: { description: 'Taken out', schema: null } },
      problems: [412],
      handle: async (ctx, { params, header }) => {
        const expected = readIfMatch(header('If-Match'))
        await db.transaction(ctx, (tx) => removeLine(tx, house, params.id, params.lineId, expected))
        return { status: 204 }
      },
    }),
  ]
}

const valueRules = `Name and price are the product's unless given; the currency is the deal's. \`total\` is quantity × unitPrice
less the discount, without tax, rounded to 4 decimals, halves away from zero. The deal's \`value\` is the sum of the totals unless
somebody set it; \`PATCH {"value": null}\` on the deal gives it back to the lines. Each change of a line raises the deal's version.`

const totalsSchema = z.object({ net: z.number(), tax: z.number(), gross: z.number() }).register(sight, apart)

const linesSchema = z.object({
  data: z.array(lineItemSchema),
  page: z.object({ limit: z.int(), nextCursor: z.null() }).register(sight, apart),
  totals: totalsSchema,
})

const lineAnswer = (line: LineItem): Answer => ({ status: 200, body: line, headers: { ETag: etagOf(line.version) } })
