import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { type Mergeable, named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { invalid, type MemberError } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { JsonText, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { type MergingDeps, merge, mostMoved, type Wish } from './merge.actions.ts'
import { unmerge } from './unmerge.actions.ts'

/** The calls that make one record of several, and several of one again. */
export function mergeRoutes(db: Database, deps: MergingDeps, noun: Mergeable): Route[] {
  const { path, type } = noun
  const params = z.object({ id: idSchema })
  return [
    route({
      method: 'post',
      path: `/${path}/{id}/merge`,
      operationId: `merge${named(type)}`,
      summary: `Make one ${type} of several`,
      description: `The ${type} of the path stays: where it has no value it takes that of the next in \`fromIds\`, or the one that \`take\` names for a member; lists are united. What refers to the others refers to it (up to ${mostMoved} records), their ids answer 307 with its address, and references to them lead to it. All of it at once or nothing; \`unmerge\` takes it back while the others are kept, as deleted records are.`,
      tag: path,
      params,
      body: z.strictObject({
        fromIds: z
          .array(idSchema)
          .min(1)
          .max(20)
          .refine((ids) => new Set(ids).size === ids.length, { message: 'must not name a record twice' }),
        take: z
          .record(z.string(), idSchema)
          .optional()
          .describe(
            'Whose value is kept: member that you may write (or `customFields.key`) → id of one of the records',
          ),
      }),
      responses: { 200: { description: `The ${type}`, schema: noun.recordSchema, headers: ['ETag'] } },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) => {
        refuseOdd(noun, params.id, body)
        const expected = readIfMatch(header('If-Match'))
        return recordAnswer(await db.transaction(ctx, (tx) => merge(tx, deps, noun, params.id, body, expected)))
      },
    }),
    route({
      method: 'post',
      path: `/${path}/{id}/unmerge`,
      operationId: `unmerge${named(type)}`,
      summary: `Give back what was merged into a ${type}`,
      description:
        'The records of the last merge, or those of `ids`, are there again with their ids, values and all that referred to them. What somebody changed since the merge stays as it is and is named in `unmerged`: members of the record in `kept`, references of others in `left`.',
      tag: path,
      params,
      body: z.strictObject({ ids: z.array(idSchema).min(1).max(20).optional() }).optional(),
      responses: {
        200: { description: `The ${type}, and what was given back`, schema: unmergedSchema(noun), headers: ['ETag'] },
      },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) => {
        const ids = body?.ids ? [...new Set(body.ids)] : null
        const expected = readIfMatch(header('If-Match'))
        const { stored, unmerged } = await db.transaction(ctx, (tx) =>
          unmerge(tx, deps, noun, params.id, ids, expected),
        )
        const json = `${stored.json.slice(0, stored.json.lastIndexOf('}'))},"unmerged":${JSON.stringify(unmerged)}}`
        return { ...recordAnswer(stored), body: new JsonText(json) }
      },
    }),
  ]
}

function unmergedSchema(noun: Mergeable): z.ZodType {
  const unmerged = z
    .object({
      ids: z.array(z.uuid()).describe('What is a record of its own again'),
      kept: z.array(z.string()).describe('Members that were changed since the merge'),
      left: z
        .array(z.object({ type: z.string(), id: z.uuid(), member: z.string() }))
        .describe('References that were changed since the merge'),
    })
    .register(sight, apart)
  return noun.recordSchema instanceof z.ZodObject ? noun.recordSchema.extend({ unmerged }) : noun.recordSchema
}

function refuseOdd(noun: Mergeable, id: string, { fromIds, take = {} }: Wish): void {
  const errors: MemberError[] = []
  const wrong = (path: string, message: string) => errors.push({ path, message, code: 'invalid_value' })
  for (const [index, fromId] of fromIds.entries())
    if (fromId === id) wrong(`fromIds.${index}`, 'must be another record than the one that stays')
  for (const [member, from] of Object.entries(take)) {
    const field = noun.all[member]
    const isMember = (field && !field.readOnly && field.kind !== 'customFields') || /^customFields\../.test(member)
    if (!isMember) wrong(`take.${member}`, `is not a member of a ${noun.type} that can be chosen`)
    else if (from !== id && !fromIds.includes(from)) wrong(`take.${member}`, 'must be the id of one of the records')
  }
  if (errors.length > 0) throw invalid(errors)
}
