import type { JobEngine, JobState, StoredJob } from '../../adapters/jobs/jobs.port.ts'
import type { QueueName } from '../../kernel/jobs/job.ts'

/** Where a page of jobs ended: how many came before, and the last of them. */
export interface Place {
  readonly offset: number
  readonly id: string
}

/** Jobs looked at on each side of a place; what came or went since it was given has moved them so far at most. */
const reach = 1_000

/**
 * The jobs of a queue behind a place, the latest first. A queue knows positions only, and jobs come and go while somebody
 * pages; so the last job that he saw is looked for, and what follows it is given. When it is gone, its position has to do.
 */
export async function jobsBehind(
  engine: JobEngine,
  queue: QueueName,
  state: JobState,
  place: Place | null,
  limit: number,
): Promise<{ jobs: readonly StoredJob[]; offset: number }> {
  if (!place) return { jobs: await engine.list(queue, state, { offset: 0, limit }), offset: 0 }
  const here = place.offset - 1
  const [last, ...following] = await engine.list(queue, state, { offset: here, limit: limit + 1 })
  if (last?.id === place.id) return { jobs: following, offset: place.offset }
  const start = Math.max(0, here - reach)
  const around = await engine.list(queue, state, { offset: start, limit: here - start + reach + limit })
  const index = around.findIndex(({ id }) => id === place.id)
  const offset = index < 0 ? place.offset : start + index + 1
  // From the same reading: another could be moved again.
  return { jobs: around.slice(offset - start, offset - start + limit), offset }
}
