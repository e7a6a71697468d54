import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { type Mergeable, named } from '../../kernel/entity/define.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { cursorSchema, limitSchema, pageOf, readPlace, writeCursor } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, excerpt, sight } from '../../kernel/sight.ts'
import { dismiss, findAlike, pageOfPairs, type SeenPair, seenPair, undismiss } from './duplicate.actions.ts'
import { readPairsOf } from './duplicate.queries.ts'
import { keyMembers } from './keys.ts'

/** The calls about the duplicates of a noun: all pairs, those of a record, a look before a create, and "these are two". */
export function duplicateRoutes(db: Database, noun: Mergeable, records: Repository): Route[] {
  const { path, type } = noun
  const name = named(type)
  const tag = path
  const { pairSchema, alikeSchema } = schemasOf(noun)

  return [
    route({
      method: 'get',
      path: `/${path}/duplicates`,
      operationId: `list${name}Duplicates`,
      summary: `Pairs of ${path} that may be the same, the surest first`,
      description: about,
      tag,
      query: z.strictObject({
        limit: limitSchema,
        cursor: cursorSchema,
        minScore: z
          .string()
          .regex(/^(\d{1,2}|100)$/, 'must be a whole number from 0 to 100')
          .transform(Number)
          .meta({ type: 'integer', minimum: 0, maximum: 100, default: 0 })
          .optional(),
        dismissed,
      }),
      responses: { 200: { description: 'A page of pairs', schema: pageOf(pairSchema) } },
      handle: async (ctx, { query }) => {
        const { limit = 50, cursor, minScore = 0, dismissed } = query
        const list = `${ctx.tenantId} ${type} duplicates ${minScore} ${dismissed}`
        const after = readPlace(cursor, list, placeSchema)
        const { pairs, next } = await pageOfPairs(db.tenant(ctx), noun, after, { minScore, dismissed }, limit)
        const nextCursor = next && writeCursor([next.score, next.aId, next.bId], list)
        return { status: 200, body: { data: pairs.map((pair) => shownPair(noun, pair)), page: { limit, nextCursor } } }
      },
    }),
    route({
      method: 'get',
      path: `/${path}/{id}/duplicates`,
      operationId: `listDuplicatesOf${name}`,
      summary: `What a ${type} may be the same as, the surest first`,
      description: about,
      tag,
      params: z.object({ id: idSchema }),
      query: z.strictObject({ dismissed }),
      responses: { 200: { description: 'All pairs that it is in', schema: z.object({ data: z.array(pairSchema) }) } },
      handle: async (ctx, { params, query }) => {
        const tx = db.tenant(ctx)
        await records.get(tx, params.id, ['id'])
        const known = await readPairsOf(tx, noun, params.id)
        const pairs = known.filter((pair) => pair.dismissed === query.dismissed)
        const seen = pairs.flatMap((pair) => seenPair(tx, noun, pair) ?? [])
        return { status: 200, body: { data: seen.map((pair) => shownPair(noun, pair)) } }
      },
    }),
    route({
      method: 'post',
      path: `/${path}/duplicates/check`,
      operationId: `check${name}Duplicates`,
      summary: `What a ${type} with these values would be the same as, before it is made`,
      description: about,
      tag,
      body: checkSchema(noun),
      responses: {
        200: { description: 'Records, the surest first', schema: z.object({ data: z.array(alikeSchema) }) },
      },
      handle: async (ctx, { body }) => {
        refuseUnseen(ctx.rights, type, Object.keys(body))
        const alike = await findAlike(db.tenant(ctx), noun, body as Values)
        const data = alike.map(({ score, reasons, record }) => ({ score, reasons, record: shown(noun, record) }))
        return { status: 200, body: { data } }
      },
    }),
    route({
      method: 'post',
      path: `/${path}/duplicates/dismiss`,
      operationId: `dismiss${name}Duplicates`,
      summary: `Say that two ${path} are not the same, so that the pair does not come again`,
      tag,
      body: twoSchema,
      responses: { 204: { description: 'Dismissed', schema: null } },
      handle: async (ctx, { body }) => {
        await db.transaction(ctx, (tx) => dismiss(tx, noun, body.ids))
        return { status: 204 }
      },
    }),
    route({
      method: 'post',
      path: `/${path}/duplicates/undismiss`,
      operationId: `undismiss${name}Duplicates`,
      summary: `Take back that two ${path} are not the same`,
      tag,
      body: twoSchema,
      responses: { 204: { description: 'A pair again, while there is evidence', schema: null } },
      handle: async (ctx, { body }) => {
        await db.transaction(ctx, (tx) => undismiss(tx, noun, body.ids))
        return { status: 204 }
      },
    }),
  ]
}

const twoSchema = z.strictObject({
  ids: z.tuple([idSchema, idSchema]).refine(([a, b]) => a !== b, { message: 'must name two different records' }),
})

const dismissed = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')
  .meta({ type: 'boolean', default: false, description: 'Those of which somebody said that they are not the same' })

const about =
  'By equal email addresses, telephone numbers and domains, and by names that are equal or nearly so, whatever the case, the accents, the order of the words and the legal form. What more than 20 records share is no evidence. Follows a change within the fan-out lag.'

function schemasOf(noun: Mergeable) {
  const record = z
    .object({ type: z.string(), id: z.uuid(), name: z.string() })
    .catchall(z.unknown())
    .register(sight, excerpt())
  // Of what one does not see there is no evidence.
  const evidence = {
    score: z.int().min(0).max(100).register(sight, apart),
    reasons: z.array(
      z
        .object({
          field: z.string().describe('The member, or `name` for the parts of one'),
          kind: z.enum(['equal', 'similar']),
          value: z.string().optional().describe('What they share, in normal form'),
        })
        .register(sight, apart),
    ),
  }
  return {
    pairSchema: z.object({ ...evidence, records: z.tuple([record, record]) }).meta({ id: `${named(noun.type)}Pair` }),
    alikeSchema: z.object({ ...evidence, record }),
  }
}

/** Members that make keys, each optional: one who types has not yet all of them. */
const checkSchema = (noun: Mergeable): z.ZodObject =>
  z.strictObject(
    Object.fromEntries(
      keyMembers(noun.sameness).flatMap((member) => {
        const field = noun.all[member]
        return field ? [[member, field.schema.nullable().optional()]] : []
      }),
    ),
  )

const shownPair = (noun: Mergeable, { score, reasons, a, b }: SeenPair) => ({
  score,
  reasons,
  records: [shown(noun, a), shown(noun, b)],
})

/** What one needs to see to tell whether it is the same: its name, and what evidence is made of. */
const shown = (noun: Mergeable, record: Values): Values => ({
  type: noun.type,
  id: record.id,
  name: noun.title(record),
  ...Object.fromEntries(
    [...keyMembers(noun.sameness), 'ownerId', 'createdAt']
      .filter((member) => noun.all[member])
      .map((member) => [member, record[member]]),
  ),
})

const placeSchema = z
  .tuple([z.int().min(0).max(100), idSchema, idSchema])
  .transform(([score, aId, bId]) => ({ score, aId, bId }))
