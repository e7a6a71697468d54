import { z } from 'zod'
import { type Scored, scores } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import { named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { explainScore, type ScoringDeps } from './scores.ts'

/** The calls that explain a score, one for each noun that has one. */
export function scoreRoutes({ db, repository }: ScoringDeps): Route[] {
  return (Object.keys(scores) as Scored[]).map((type) => {
    const records = repository(type)
    const { path } = records.entity
    return route({
      method: 'get',
      path: `/${path}/{id}/score`,
      operationId: `explain${named(type)}Score`,
      summary: `Why a ${type} has its score: the rules that match, their points, and what they found`,
      description: `As it comes out now. \`${scores[type]}\` follows a moment after a change, and once a day where only time has passed.`,
      tag: path,
      params: z.object({ id: idSchema }),
      responses: { 200: { description: 'The score and what it is the sum of', schema: explanationSchema } },
      problems: [404],
      handle: async (ctx, { params }) => ({
        status: 200,
        body: await explainScore(db.tenant(ctx), records, type, params.id),
      }),
    })
  })
}

const explanationSchema = z
  .object({
    score: z.int(),
    rules: z.array(
      z.object({
        id: z.uuid().nullable().describe('The rule; null: no rule gave it'),
        name: z.string(),
        points: z.int(),
        why: z.string(),
      }),
    ),
  })
  .meta({
    id: 'Score',
    example: {
      score: 20,
      rules: [
        {
          id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
          name: 'Decides',
          points: 20,
          why: 'jobTitle contains “chief”: it is “Chief Engineer”',
        },
      ],
    },
  })
  // Its reasons are those that the caller sees.
  .register(sight, apart)
