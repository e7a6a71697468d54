import sql from 'sql-template-tag'
import { sweep } from '../../kernel/jobs/sweep.ts'
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
      // Three months after its end nobody asks any more who was invited.
      sweep(
        options.db,
        { name: 'invitations.expire', cron: '55 3 * * *' },
        { invitations: { table: 'invitations', where: sql`expires_at < now() - interval '90 days'` } },
      ),
    ],
  }
}
