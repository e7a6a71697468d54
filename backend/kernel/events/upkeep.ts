import sql from 'sql-template-tag'
import type { Database } from '../db/database.ts'
import type { Schedule } from '../jobs/job.ts'

const daysAhead = 7
/** Days of events that stay although every cursor is past them: replays of sockets, and a look back. */
const keepDays = 7

/** Makes the partitions of the log that the next days need; called before the first write, and by a schedule. */
export async function makeEventPartitions(db: Database): Promise<void> {
  await db.worker.query(sql`select make_event_partitions(${daysAhead})`)
}

/** What keeps the log in shape: days made ahead, and dropped when every cursor is past them. */
export function logSchedules(db: Database): Schedule[] {
  return [
    {
      name: 'events.make-days',
      queue: 'cleanup',
      cron: '5 * * * *',
      run: async ({ dryRun }) => {
        const days = await countMissing(db)
        if (!dryRun) await makeEventPartitions(db)
        return { days }
      },
    },
    {
      name: 'events.drop-days',
      queue: 'cleanup',
      cron: '15 * * * *',
      run: async ({ dryRun, signal }) => ({ days: dryRun ? await countOld(db) : await dropOld(db, signal) }),
    },
  ]
}

async function countMissing(db: Database): Promise<number> {
  const [row] = await db.worker.query(sql`
    select count(*)::integer as days
    from generate_series(-1, ${daysAhead}::integer) as n(day)
    where to_regclass('public.events_' || to_char((now() at time zone 'UTC')::date + n.day, 'YYYYMMDD')) is null`)
  return row?.days ?? 0
}

async function countOld(db: Database): Promise<number> {
  const [row] = await db.worker.query(
    sql`select count(*)::integer as days from droppable_event_partitions(${keepDays}::integer)`,
  )
  return row?.days ?? 0
}

async function dropOld(db: Database, signal: AbortSignal): Promise<number> {
  for (let days = 0; ; days += 1) {
    signal.throwIfAborted()
    const [row] = await db.worker.query(sql`select drop_event_partition(${keepDays}) as day`)
    if (row?.day == null) return days
  }
}
