import sql, { join, raw, type Sql } from 'sql-template-tag'
import type { Database } from '../db/database.ts'
import type { Schedule } from './job.ts'

/** Rows of a table that nobody needs any more. */
export interface Expired {
  readonly table: string
  /** The condition over the table's own columns. */
  readonly where: Sql
}

/**
 * A schedule that deletes rows whose time is over, in one statement for all its tables, and counts them by the names under
 * which they are given. The dry run counts with the same conditions.
 */
export function sweep(
  db: Database,
  { name, cron }: Pick<Schedule, 'name' | 'cron'>,
  expired: Readonly<Record<string, Expired>>,
): Schedule {
  const parts = Object.entries(expired).map(([count, { table, where }]) => ({
    count: raw(`"${count}"`),
    rows: sql`${raw(table)} where ${where}`,
  }))
  const counted = join(parts.map(({ count, rows }) => sql`(select count(*)::integer from ${rows}) as ${count}`))
  const gone = join(parts.map(({ count, rows }) => sql`${count} as (delete from ${rows} returning 1)`))
  const deleted = join(parts.map(({ count }) => sql`(select count(*)::integer from ${count}) as ${count}`))
  return {
    name,
    queue: 'cleanup',
    cron,
    run: async ({ dryRun }) => {
      const [counts] = await db.worker.query(dryRun ? sql`select ${counted}` : sql`with ${gone} select ${deleted}`)
      if (!counts) throw new Error(`${name} counted nothing`)
      return { ...counts }
    },
  }
}
