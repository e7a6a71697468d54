import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Module } from '../../kernel/module.ts'
import { type AuthOptions, authRoutes } from './auth.routes.ts'

/** Sign-in and sessions. */
export function authModule(options: AuthOptions): Module {
  return {
    name: 'auth',
    routes: authRoutes(options),
    schedules: [
      {
        name: 'sessions.expire',
        queue: 'cleanup',
        cron: '35 * * * *',
        run: ({ dryRun }) => expireSessions(options.db, dryRun),
      },
      {
        name: 'idempotency-keys.expire',
        queue: 'cleanup',
        cron: '45 * * * *',
        run: ({ dryRun }) => expireKeys(options.db, dryRun),
      },
    ],
  }
}

/** A week after its end nobody asks any more how a session ended. */
async function expireSessions(db: Database, dryRun: boolean): Promise<{ sessions: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select count(*)::integer as sessions from sessions
            where expires_at < now() - interval '7 days' or ended_at < now() - interval '7 days'`
      : sql`with gone as (delete from sessions
              where expires_at < now() - interval '7 days' or ended_at < now() - interval '7 days' returning 1)
            select count(*)::integer as sessions from gone`,
  )
  return { sessions: row?.sessions ?? 0 }
}

/** The contract keeps the first answer for a day. */
async function expireKeys(db: Database, dryRun: boolean): Promise<{ keys: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select count(*)::integer as keys from idempotency_keys where created_at < now() - interval '24 hours'`
      : sql`with gone as (delete from idempotency_keys where created_at < now() - interval '24 hours' returning 1)
            select count(*)::integer as keys from gone`,
  )
  return { keys: row?.keys ?? 0 }
}
