import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Schedule } from '../../kernel/jobs/job.ts'
import { sweep } from '../../kernel/jobs/sweep.ts'
import type { Module } from '../../kernel/module.ts'
import { reseal } from '../../kernel/reseal.ts'
import { attemptMinutes } from './attempts.ts'
import { type AuthOptions, authRoutes } from './auth.routes.ts'
import { accountMail } from './mails/mailing.ts'
import { sealedPlaces } from './sealed.ts'

/** Sign-in and sessions. */
export function authModule(options: AuthOptions): Module {
  return {
    name: 'auth',
    routes: authRoutes(options),
    jobs: [accountMail(options)],
    schedules: [
      ...sweeps(options.db),
      {
        // The command does it at once; this finds what a process that did not know the new key yet sealed after it.
        name: 'secrets.reseal',
        queue: 'cleanup',
        cron: '25 * * * *',
        run: ({ dryRun, signal, log }) =>
          dryRun ? countOld(options) : reseal(options.db, options.secrets, sealedPlaces, { signal, log }),
      },
    ],
    stop: () => options.email.close(),
  }
}

async function countOld({ db, secrets }: AuthOptions): Promise<{ resealed: number }> {
  const [row] = await db.worker.query(sql`
    select count(*)::integer as resealed from account_totp where not starts_with(seed, ${secrets.prefix})`)
  return { resealed: row?.resealed ?? 0 }
}

const sweeps = (db: Database): Schedule[] => [
  // A week after its end nobody asks any more how a session ended.
  sweep(
    db,
    { name: 'sessions.expire', cron: '35 * * * *' },
    {
      sessions: {
        table: 'sessions',
        where: sql`expires_at < now() - interval '7 days' or ended_at < now() - interval '7 days'`,
      },
    },
  ),
  // The contract keeps the first answer for a day.
  sweep(
    db,
    { name: 'idempotency-keys.expire', cron: '45 * * * *' },
    { keys: { table: 'idempotency_keys', where: sql`created_at < now() - interval '24 hours'` } },
  ),
  // Of platform operators the same.
  sweep(
    db,
    { name: 'operators.expire', cron: '40 * * * *' },
    {
      sessions: { table: 'operator_sessions', where: sql`expires_at < now() - interval '7 days'` },
      keys: { table: 'operator_idempotency_keys', where: sql`created_at < now() - interval '24 hours'` },
    },
  ),
  // A day after its end a link counts no more among those that were sent; a challenge counts no more at its end.
  sweep(
    db,
    { name: 'account-tokens.expire', cron: '50 * * * *' },
    {
      tokens: { table: 'account_tokens', where: sql`expires_at < now() - interval '1 day'` },
      challenges: { table: 'passkey_challenges', where: sql`expires_at < now()` },
    },
  ),
  // Wrong tries when they count no more, and from where somebody signed in when he has not for half a year.
  sweep(
    db,
    { name: 'sign-in-attempts.expire', cron: '*/15 * * * *' },
    {
      attempts: { table: 'sign_in_attempts', where: sql`at < now() - make_interval(mins => ${attemptMinutes})` },
      addresses: { table: 'account_addresses', where: sql`last_used_at < now() - interval '180 days'` },
    },
  ),
]
