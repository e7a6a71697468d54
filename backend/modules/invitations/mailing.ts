import sql, { raw } from 'sql-template-tag'
import { z } from 'zod'
import { systemCtx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { Job, Work } from '../../kernel/jobs/job.ts'
import type { Mark } from '../../kernel/signed-token.ts'
import { writeInvitation } from './mail.ts'
import { invitationToken } from './token.ts'

/** What invitations are sent with. */
export interface MailingDeps {
  readonly db: Database
  readonly mark: Mark
  /** How browsers reach this installation. */
  base(): string
  /** Writes a letter and hands it over; `id` is the same however often that is tried. */
  post(id: string, to: { readonly name: string; readonly address: string }, letter: InvitationLetter): Promise<void>
}

/** What a mail says, before it is text and HTML. */
export type InvitationLetter = ReturnType<typeof writeInvitation>

const data = z.object({ invitationId: z.guid(), generation: z.int() })

/** Sends the link of an invitation. The job knows no token: it is made of the id when the mail is written. */
export const invitationMail = (deps: MailingDeps): Job<z.output<typeof data>> => ({
  name: 'invitation.mail',
  queue: 'email',
  attempts: 8,
  timeout: 60_000,
  data,
  on: ['invitation.created', 'invitation.resent'],
  ask: ({ recordId, data: { generation } }) =>
    recordId === null || typeof generation !== 'number' ? [] : [{ data: { invitationId: recordId, generation } }],
  run: (work) => send(deps, work),
})

async function send({ db, mark, base, post }: MailingDeps, work: Work<z.output<typeof data>>): Promise<void> {
  const { invitationId, generation } = work.data
  const [row] = await db.tenant(systemCtx(work.tenantId)).query(sql`
    select i.email, coalesce(u.name, i.name, i.email) as name, t.name as tenant, b.name as inviter,
      ${raw(timeSql('i.expires_at'))} as "expiresAt"
    from invitations i join tenants t on t.id = i.tenant_id
      left join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
      left join users b on b.tenant_id = i.tenant_id and b.id = i.created_by_id
    where i.tenant_id = ${work.tenantId} and i.id = ${invitationId} and i.generation = ${generation}
      and i.accepted_at is null and i.revoked_at is null and i.expires_at > now()`)
  // It was accepted, taken back or sent again meanwhile: this link would be void.
  if (!row) return
  const { email: address, name, tenant, inviter, expiresAt } = row
  const url = `${base()}/accept-invitation?token=${invitationToken(mark, invitationId, generation)}`
  await post(work.id, { name, address }, writeInvitation({ inviter, tenant, url, expiresAt }))
}
