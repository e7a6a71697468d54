import sql from 'sql-template-tag'
import type { JobEngine } from '../../adapters/jobs/jobs.port.ts'
import type { Database } from '../../kernel/db/database.ts'
import { type QueueName, queueNames, type Schedule } from '../../kernel/jobs/job.ts'

/**
 * The jobs that are done, of which only those may be forgotten that no event can ask for again: a batch that is delivered a
 * second time must find its own. So they stay for an hour at least, and as long as the subscription has events before it
 * that are older.
 */
export interface CompletedJobs {
  /** How many of a queue that ended so many milliseconds ago can be forgotten. */
  count(queue: QueueName, olderThan: number): Promise<number>
  /** Forgets these, and says how many they were. */
  clean(queue: QueueName, olderThan: number): Promise<number>
}

/** Knows which completed jobs of the engine may go. */
export function completedJobs(engine: JobEngine, db: Database): CompletedJobs {
  return {
    count: async (queue, olderThan) =>
      (await isBehind(db)) ? 0 : engine.countEnded(queue, 'completed', Math.max(olderThan, kept)),
    clean: async (queue, olderThan) =>
      (await isBehind(db)) ? 0 : engine.clean(queue, 'completed', Math.max(olderThan, kept)),
  }
}

/** Forgets jobs that are done. Failed ones stay for operators. */
export function forgetCompleted(completed: CompletedJobs): Schedule {
  return {
    name: 'jobs.forget-completed',
    queue: 'cleanup',
    cron: '*/10 * * * *',
    run: async ({ dryRun, signal }) => {
      const counts: Record<string, number> = {}
      for (const queue of queueNames) {
        signal.throwIfAborted()
        counts[queue] = await (dryRun ? completed.count(queue, kept) : completed.clean(queue, kept))
      }
      return counts
    },
  }
}

/** So long a job that is done stays at least, milliseconds. */
const kept = 3_600_000

async function isBehind(db: Database): Promise<boolean> {
  const [row] = await db.worker.query<{ behind: boolean }>(sql`
    select exists (
      select from event_cursors c join lateral (
        select e.occurred_at from events e where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq)
        order by e.tx, e.seq limit 1) next on next.occurred_at < now() - make_interval(secs => ${kept / 1_000})
      where c.subscription = 'jobs') as behind`)
  return row?.behind ?? true
}
