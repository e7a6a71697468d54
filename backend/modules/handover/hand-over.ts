import { z } from 'zod'
import { apart, sight } from '../../kernel/sight.ts'

/** Giving what somebody had to another, as the API shows it. */
export const handOverSchema = z
  .object({
    id: z.uuid(),
    fromId: z.uuid(),
    toId: z.uuid(),
    status: z.enum(['queued', 'running', 'completed', 'failed']),
    total: z
      .int()
      .nullable()
      .meta({ description: 'How many references to him there were when it began; null until then' }),
    processed: z.int(),
    moved: z.record(z.string(), z.int()).meta({ description: 'How many of each type have gone over' }),
    failure: z.string().nullable(),
    createdAt: z.iso.datetime({ precision: 3 }),
    completedAt: z.iso.datetime({ precision: 3 }).nullable(),
  })
  .meta({
    id: 'HandOver',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
      fromId: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77',
      toId: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c78',
      status: 'running',
      total: 431,
      processed: 200,
      moved: { contact: 120, deal: 80 },
      failure: null,
      createdAt: '2026-11-21T08:00:00.000Z',
      completedAt: null,
    },
  })
  .register(sight, apart)

/** A hand-over as the API shows it. */
export type HandOver = z.infer<typeof handOverSchema>
