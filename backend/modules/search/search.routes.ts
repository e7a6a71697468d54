import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { type Entity, named } from '../../kernel/entity/define.ts'
import { refuseUnseen } from '../../kernel/entity/field-rules.ts'
import { idSchema, instantSchema } from '../../kernel/entity/fields.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { findCandidates, mostCandidates } from './candidates.ts'
import { facetsOf } from './facets.ts'
import { readPage } from './hits.ts'
import { readQuestion } from './question.ts'
import { type Filters, sorts } from './search.queries.ts'
import { hides } from './seen.ts'

/** The calls of the search: over all records, over the records of one noun, and while one types. */
export function searchRoutes(db: Database, entities: ReadonlyMap<string, Entity>): Route[] {
  const nouns = [...entities.values()].filter(({ searchable }) => searchable)
  const types = nouns.map(({ type }) => type)
  const ofOne = z.strictObject(parameters)
  const ofAll = ofOne.extend({ types: typesSchema(types) })

  const answer = async (ctx: Ctx, among: readonly string[], query: SearchQuery): Promise<Answer> => {
    const { q = '', limit = 20, offset = 0, sort = 'relevance', types: _types, ...filters } = query
    if (offset + limit > mostCandidates) {
      throw invalidMember('offset', `offset and limit may reach to ${mostCandidates} hits: narrow the search instead`)
    }
    if (filters.tags && among.every((type) => hides(ctx.rights, type, 'tags')))
      for (const type of among) refuseUnseen(ctx.rights, type, ['tags'])
    const tx = db.tenant(ctx)
    const { candidates, words, meant } = await findCandidates(tx, entities, {
      question: readQuestion(q),
      types: among,
      filters,
      sort,
    })
    const shown = candidates.slice(0, mostCandidates)
    const { hits, gone } = await readPage(tx, entities, shown, { offset, limit, filters, words, meant })
    const rest = shown.filter((candidate) => !gone.includes(candidate))
    const more = candidates.length > mostCandidates ? { totalIsLowerBound: true } : {}
    return {
      status: 200,
      body: {
        data: hits,
        facets: facetsOf(rest),
        page: { limit, offset, total: rest.length, ...more },
        engine: 'postgres',
        degraded: false,
      },
    }
  }

  return [
    route({
      method: 'get',
      path: '/search',
      operationId: 'search',
      summary: 'Find records of any kind',
      description:
        'All words must match: as they are, as the beginning of a word, or, where that finds too little, with a typo ' +
        '(one edit in a word of 4 letters or more, two in 8 or more). Accents and case never matter. Without `q` the ' +
        `newest. At most ${mostCandidates} candidates are ranked; \`total\` and facets count these.`,
      tag: 'search',
      query: ofAll,
      responses,
      handle: (ctx, { query }) => answer(ctx, query.types ?? types, query),
    }),
    route({
      method: 'get',
      path: '/search/suggest',
      operationId: 'suggest',
      summary: 'Records for a search box, while one types',
      tag: 'search',
      query: z.strictObject({
        q: z.string().trim().min(1).max(200),
        types: typesSchema(types),
        limit: whole(1, 20).optional().meta({ type: 'integer', minimum: 1, maximum: 20, default: 8 }),
      }),
      responses: { 200: { description: 'The best few', schema: z.object({ data: z.array(suggestionSchema) }) } },
      handle: async (ctx, { query }) => {
        const { q, limit = 8 } = query
        const tx = db.tenant(ctx)
        const wish = { question: readQuestion(q), types: query.types ?? types, filters: {}, sort: 'relevance' } as const
        const { candidates, words, meant } = await findCandidates(tx, entities, wish)
        const { hits } = await readPage(tx, entities, candidates, { offset: 0, limit, filters: {}, words, meant })
        const data = hits.map(({ type, id, title, subtitle, highlights }) => ({
          type,
          id,
          title,
          subtitle,
          highlight: highlights.title?.[0] ?? null,
        }))
        return { status: 200, body: { data } }
      },
    }),
    ...nouns.map((entity) =>
      route({
        method: 'get',
        path: `/search/${entity.path}`,
        operationId: `search${named(entity.path)}`,
        summary: `Find ${entity.path}`,
        tag: 'search',
        query: ofOne,
        responses,
        handle: (ctx, { query }) => answer(ctx, [entity.type], query),
      }),
    ),
  ]
}

type SearchQuery = z.output<z.ZodObject<typeof parameters>> & { types?: unknown }

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, { message: `must be a whole number from ${least} to ${most}` })

const listed = z.string().transform((text) => [...new Set(text.split(',').map((item) => item.trim()))])

const typesSchema = (types: readonly string[]) =>
  listed
    .refine((names) => names.every((name) => types.includes(name)), { message: `must be of ${types.join(', ')}` })
    .optional()
    .meta({ type: 'string', description: `Any of ${types.join(', ')}, separated by commas` })

const day = z.iso.date().transform((text) => `${text}T00:00:00Z`)
const momentSchema = z.union([day.pipe(instantSchema), instantSchema], { error: 'must be a date or an RFC 3339 time' })

const parameters = {
  q: z
    .string()
    .max(200)
    .refine((text) => !text.includes('\0'), { message: 'must not contain a NUL character' })
    .optional(),
  tags: listed
    .refine((tags) => tags.length <= 50 && tags.every((tag) => /^[^\0]{1,50}$/u.test(tag)), {
      message: 'must be at most 50 tags of 1 to 50 characters, separated by commas',
    })
    .optional()
    .meta({ type: 'string', description: 'Any of these tags, separated by commas' }),
  ownerId: idSchema.optional(),
  assigneeId: idSchema.optional(),
  createdAfter: momentSchema.optional().meta({ type: 'string', description: 'From this date or time on' }),
  createdBefore: momentSchema.optional().meta({ type: 'string', description: 'Before this date or time' }),
  limit: whole(1, 100).optional().meta({ type: 'integer', minimum: 1, maximum: 100, default: 20 }),
  offset: whole(0, mostCandidates)
    .optional()
    .meta({ type: 'integer', minimum: 0, maximum: mostCandidates, default: 0 }),
  sort: z.enum(sorts).optional(),
} satisfies Record<keyof Filters | 'q' | 'limit' | 'offset' | 'sort', z.ZodType>

const countsSchema = z.record(z.string(), z.int())

const hitSchema = z
  .object({
    type: z.string(),
    id: z.uuid(),
    title: z.string(),
    subtitle: z.string().nullable(),
    score: z.number(),
    highlights: z.record(z.string(), z.array(z.string())),
    tags: z.array(z.string()),
    updatedAt: z.iso.datetime({ precision: 3 }),
  })
  .meta({ id: 'Hit', description: 'Highlights are HTML: matches in <mark>, all else escaped.' })

const suggestionSchema = z
  .object({
    type: z.string(),
    id: z.uuid(),
    title: z.string(),
    subtitle: z.string().nullable(),
    highlight: z.string().nullable(),
  })
  .meta({ id: 'Suggestion' })
  .register(sight, apart)

// Hits, facets and suggestions are made of what the caller sees (`seen.ts`).
const responses = {
  200: {
    description: 'A page of hits, the best first',
    schema: z
      .object({
        data: z.array(hitSchema),
        facets: z.object({ type: countsSchema, tags: countsSchema, ownerId: countsSchema }),
        page: z.object({
          limit: z.int(),
          offset: z.int(),
          total: z.int(),
          totalIsLowerBound: z.literal(true).optional(),
        }),
        engine: z.enum(['elasticsearch', 'postgres']),
        degraded: z.boolean(),
      })
      .register(sight, apart),
  },
}
