import { z } from 'zod'
import { defineEntity } from '../../kernel/entity/define.ts'
import { filledSchema, flag, json, text } from '../../kernel/entity/fields.ts'

/** A stage as a request sends it: with `id` the one that exists, without a new one; the order of the list counts when `order` is absent. */
export const stageSchema = z.strictObject({
  id: z.guid().optional(),
  name: filledSchema(100),
  kind: z.enum(['open', 'won', 'lost']).default('open'),
  probability: z.int().min(0).max(100).optional(),
  order: z.int().min(0).max(10_000).optional(),
  rottingDays: z.int().min(1).max(3650).nullable().optional(),
})

export type StageInput = z.output<typeof stageSchema>

/** The way of a deal, stage by stage. */
export const pipeline = defineEntity({
  type: 'pipeline',
  path: 'pipelines',
  fields: {
    name: text({ required: true, max: 100, filter: ['eq', 'in'] }),
    isDefault: flag({ filter: ['eq'] }),
    stages: json(
      z.array(
        z.object({
          id: z.uuid(),
          name: z.string(),
          kind: z.enum(['open', 'won', 'lost']),
          probability: z.int(),
          order: z.int(),
          rottingDays: z.int().nullable(),
        }),
      ),
      {
        readOnly: true,
        default: [],
        expression: `(select coalesce(json_agg(json_build_object('id', s.id, 'name', s.name, 'kind', s.kind, 'probability', s.probability,
          'order', s.position, 'rottingDays', s.rotting_days) order by s.position, s.id), '[]')
          from stages s where s.tenant_id = r.tenant_id and s.pipeline_id = r.id)`,
      },
    ),
  },
  namedBy: ['name'],
  title: (record) => String(record.name ?? ''),
  example: { name: 'Sales' },
})
