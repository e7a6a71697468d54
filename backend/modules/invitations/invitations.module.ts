import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Module } from '../../kernel/module.ts'
import { type InvitationOptions, invitationRoutes } from './invitation.routes.ts'
import { invitationMail, type MailingDeps } from './mailing.ts'

/** How people become members by themselves: by a link that they are mailed. */
export function invitationsModule<SignIn>(options: InvitationOptions<SignIn> & MailingDeps): Module {
  return {
    name: 'invitations',
    routes: invitationRoutes(options),
    jobs: [invitationMail(options)],
    schedules: [
      {
        name: 'invitations.expire',
        queue: 'cleanup',
        cron: '55 3 * * *',
        run: ({ dryRun }) => expire(options.db, dryRun),
      },
    ],
  }
}

/** Three months after its end nobody asks any more who was invited. */
async function expire(db: Database, dryRun: boolean): Promise<{ invitations: number }> {
  const [row] = await db.worker.query(
    dryRun
      ? sql`select count(*)::integer as invitations from invitations where expires_at < now() - interval '90 days'`
      : sql`with gone as (delete from invitations where expires_at < now() - interval '90 days' returning 1)
            select count(*)::integer as invitations from gone`,
  )
  return { invitations: row?.invitations ?? 0 }
}
