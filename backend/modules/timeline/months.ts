import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Schedule } from '../../kernel/jobs/job.ts'

const monthsAhead = 2

/** Makes the partitions of the timeline that the next months need; called before the first activity, and by a schedule. */
export async function makeMonths(db: Database): Promise<void> {
  await db.worker.query(sql`select make_activity_partitions(${monthsAhead})`)
}

/** What keeps the timeline in shape: months made ahead, and those dropped that are older than history is kept. */
export function monthSchedules(db: Database, keepMonths: number | undefined): Schedule[] {
  return [
    {
      name: 'timeline.make-months',
      queue: 'cleanup',
      cron: '25 * * * *',
      run: async ({ dryRun }) => {
        const months = await countMissing(db)
        if (!dryRun) await makeMonths(db)
        return { months }
      },
    },
    {
      name: 'timeline.drop-months',
      queue: 'cleanup',
      cron: '30 2 * * *',
      run: async ({ dryRun, signal }) => {
        if (keepMonths === undefined) return { months: 0 }
        return { months: dryRun ? await countOld(db, keepMonths) : await dropOld(db, keepMonths, signal) }
      },
    },
  ]
}

async function countMissing(db: Database): Promise<number> {
  const [row] = await db.worker.query(sql`
    select count(*)::integer as months
    from generate_series(-1, ${monthsAhead}::integer) as n(month) cross join lateral (
      select to_char((now() at time zone 'UTC') + make_interval(months => n.month), 'YYYYMM') as name) m
    where to_regclass('public.activities_' || m.name) is null`)
  return row?.months ?? 0
}

async function countOld(db: Database, keepMonths: number): Promise<number> {
  const [row] = await db.worker.query(
    sql`select count(*)::integer as months from droppable_activity_partitions(${keepMonths}::integer)`,
  )
  return row?.months ?? 0
}

async function dropOld(db: Database, keepMonths: number, signal: AbortSignal): Promise<number> {
  for (let months = 0; ; months += 1) {
    signal.throwIfAborted()
    const [row] = await db.worker.query(sql`select drop_activity_partition(${keepMonths}::integer) as month`)
    if (row?.month == null) return months
  }
}
