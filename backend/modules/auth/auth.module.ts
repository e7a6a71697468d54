import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
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
      {
        name: 'operators.expire',
        queue: 'cleanup',
        cron: '40 * * * *',
        run: ({ dryRun }) => expireOperators(options.db, dryRun),
      },
      {
        name: 'account-tokens.expire',
        queue: 'cleanup',
        cron: '50 * * * *',
        run: ({ dryRun }) => expireTokens(options.db, dryRun),
      },
      {
        name: 'sign-in-attempts.expire',
        queue: 'cleanup',
        cron: '*/15 * * * *',
        run: ({ dryRun }) => expireAttempts(options.db, dryRun),
      },
      {
        // The command does it at once; this finds what a process that did not know the new key yet sealed after it.
        name: 'secrets.reseal',
        queue: 'cleanup',
        cron: '25 * * * *',
        run: ({ dryRun, signal, log }) =>
          dryRun ? countOld(options) : reseal(options.db, options.secrets, sealedPlaces, { signal, log }),
      },
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
    stop: () => options.email.close(),
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

async function countOld({ db, secrets }: AuthOptions): Promise<{ resealed: number }> {
  const [row] = await db.worker.query(sql`
    select count(*)::integer as resealed from account_totp where not starts_with(seed, ${secrets.prefix})`)
  return { resealed: row?.resealed ?? 0 }
}

/** A day after its end a link counts no more among those that were sent; a challenge counts no more at its end. */
async function expireTokens(db: Database, dryRun: boolean): Promise<{ tokens: number; challenges: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select (select count(*) from account_tokens where expires_at < now() - interval '1 day')::integer as tokens,
                   (select count(*) from passkey_challenges where expires_at < now())::integer as challenges`
      : sql`with tokens as (delete from account_tokens where expires_at < now() - interval '1 day' returning 1),
              challenges as (delete from passkey_challenges where expires_at < now() returning 1)
            select (select count(*) from tokens)::integer as tokens, (select count(*) from challenges)::integer as challenges`,
  )
  return { tokens: row?.tokens ?? 0, challenges: row?.challenges ?? 0 }
}

/** Wrong tries when they count no more, and from where somebody signed in when he has not for half a year. */
async function expireAttempts(db: Database, dryRun: boolean): Promise<{ attempts: number; addresses: number }> {
  const past = sql`at < now() - make_interval(mins => ${attemptMinutes})`
  const [row] = await db.worker.query(
    dryRun
      ? sql`select (select count(*) from sign_in_attempts where ${past})::integer as attempts,
                   (select count(*) from account_addresses where last_used_at < now() - interval '180 days')::integer as addresses`
      : sql`with attempts as (delete from sign_in_attempts where ${past} returning 1),
              addresses as (delete from account_addresses where last_used_at < now() - interval '180 days' returning 1)
            select (select count(*) from attempts)::integer as attempts, (select count(*) from addresses)::integer as addresses`,
  )
  return { attempts: row?.attempts ?? 0, addresses: row?.addresses ?? 0 }
}

/** Of platform operators the same: sessions for a week, answers to keys for a day. */
async function expireOperators(db: Database, dryRun: boolean): Promise<{ sessions: number; keys: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select (select count(*) from operator_sessions where expires_at < now() - interval '7 days')::integer as sessions,
                   (select count(*) from operator_idempotency_keys where created_at < now() - interval '24 hours')::integer as keys`
      : sql`with sessions as (delete from operator_sessions where expires_at < now() - interval '7 days' returning 1),
              keys as (delete from operator_idempotency_keys where created_at < now() - interval '24 hours' returning 1)
            select (select count(*) from sessions)::integer as sessions, (select count(*) from keys)::integer as keys`,
  )
  return { sessions: row?.sessions ?? 0, keys: row?.keys ?? 0 }
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
