import sql from 'sql-template-tag'
import type { Module } from '../../kernel/module.ts'
import { type AuthOptions, authRoutes } from './auth.routes.ts'

/** Sign-in and sessions. */
export function authModule(options: AuthOptions): Module {
  return {
    name: 'auth',
    routes: authRoutes(options),
    maintain: async () => {
      await options.db.worker.query(
        sql`delete from sessions where expires_at < now() - interval '7 days' or ended_at < now() - interval '7 days'`,
      )
      await options.db.worker.query(sql`delete from operator_sessions where expires_at < now() - interval '7 days'`)
      await options.db.worker.query(sql`delete from idempotency_keys where created_at < now() - interval '24 hours'`)
    },
  }
}
