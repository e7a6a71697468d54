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
        if (!dryRun) await makeEventPartitions(db)
        return {}
      },
    },
    { name: 'events.drop-days', queue: 'cleanup', cron: '15 * * * *', run: ({ dryRun }) => dropDays(db, dryRun) },
  ]
}

async function dropDays(db: Database, dryRun: boolean): Promise<{ days: number }> {
  if (dryRun) {
    const [row] = await db.worker.query(sql`
      select count(*)::integer as days from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'public.events'::regclass
        and c.relname < 'events_' || to_char((now() at time zone 'UTC')::date - ${keepDays}::integer, 'YYYYMMDD')`)
    return { days: row?.days ?? 0 }
  }
  for (let days = 0; ; days += 1) {
    const [row] = await db.worker.query(sql`select drop_event_partition(${keepDays}) as day`)
    if (row?.day == null) return { days }
  }
}
