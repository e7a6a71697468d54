import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Repository, Stored, Values } from '../../kernel/entity/repository.ts'
import { constraintOf } from '../../kernel/entity/write-values.ts'
import { duplicate, invalidMember, notFound, type Problem, rule } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import { createAccount } from './account.actions.ts'
import { invitedFor } from './invitation.ts'
import { addMember, refuseMaking, refuseRole, refuseRoleOfAll } from './user.actions.ts'

/** Whom to invite. With `userId` a member who is there already and cannot sign in yet: his role, name and team are his own. */
export interface Invited {
  readonly email: string
  readonly name?: string | undefined
  readonly role?: string | undefined
  readonly roleId?: string | null | undefined
  readonly teamId?: string | null | undefined
  readonly userId?: string | undefined
}

/**
 * Invites somebody: the mail goes out after the commit. A member of that email who cannot sign in yet is the one who is
 * invited. `at` is where the email stands in the request.
 */
export async function invite(tx: Tx, users: Repository, invited: Invited, at = 'email'): Promise<string> {
  const { email } = invited
  const member = await memberFor(tx, users, invited, at)
  const { name = invited.name ?? null, role = invited.role ?? 'member' } = member ?? {}
  refuseRole(tx, role)
  refuseRoleOfAll({ role, roleId: invited.roleId }, at.replace(/email$/, 'roleId'))
  await refuseUnknown(tx, 'teams', invited.teamId, at.replace(/email$/, 'teamId'))
  await refuseUnknown(tx, 'roles', invited.roleId, at.replace(/email$/, 'roleId'))
  const id = newId()
  const { tenantId, actor } = tx.ctx
  try {
    await tx.query(sql`
      insert into invitations (tenant_id, id, email, name, role, role_id, team_id, user_id, created_by_id, expires_at)
      values (${tenantId}, ${id}, ${email}, ${name}, ${role}, ${invited.roleId ?? null}, ${invited.teamId ?? null}, ${member?.id ?? null},
              ${actor.type === 'system' ? null : actor.id}, now() + make_interval(days => ${invitedFor}))`)
  } catch (error) {
    if (constraintOf(error) !== 'invitations_email') throw error
    throw duplicate(at, 'is invited already; send that invitation again, or take it back')
  }
  await refuseTooMany(tx, email)
  await tell(tx, 'created', { id, email, name, role, generation: 1 })
  return id
}

/**
 * Makes a member who signs in with a password at once, if nobody has an account of his email. Whoever has one is invited,
 * whatever the password is: nobody gives, or tries, the password of another.
 */
export async function createUser(tx: Tx, users: Repository, values: Values, passwordHash: string): Promise<Stored> {
  refuseMaking(tx, values)
  const email = String(values.email)
  const [known] = await tx.query(sql`select 1 from find_account(${email})`)
  if (known) return inviteUser(tx, users, values)
  return addMember(tx, users, await createAccount(tx, email, passwordHash), values)
}

/** Makes a member who signs in once he has accepted the invitation that goes out to him. */
export async function inviteUser(tx: Tx, users: Repository, values: Values): Promise<Stored> {
  refuseMaking(tx, values)
  const made = await users.create(tx, values)
  const { email } = JSON.parse(made.json)
  await invite(tx, users, { email, userId: made.id })
  return made
}

/** Sends an invitation again, for another seven days: the link that was sent before is void. */
export async function resendInvitation(tx: Tx, id: string): Promise<void> {
  const [row] = await tx.query<Told & { role: string }>(sql`
    update invitations set generation = generation + 1, sent_at = now(), updated_at = now(),
      expires_at = now() + make_interval(days => ${invitedFor})
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and accepted_at is null and revoked_at is null
    returning id, email, name, role, generation`)
  if (!row) return refuseEnded(tx, id)
  refuseRole(tx, row.role)
  await refuseTooMany(tx, row.email)
  await tell(tx, 'resent', row)
}

/** Takes an invitation back: its link is void. */
export async function revokeInvitation(tx: Tx, id: string): Promise<void> {
  const [row] = await tx.query<Told>(sql`
    update invitations set revoked_at = now(), updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and accepted_at is null and revoked_at is null
    returning id, email, name, role, generation`)
  if (!row) return refuseEnded(tx, id)
  await tell(tx, 'revoked', row)
}

/** Ends the invitation of a member who came in by another way: whoever signs people in here knows him. */
export async function acceptFor(tx: Tx, userId: string): Promise<void> {
  const rows = await tx.query<Told>(sql`
    update invitations set accepted_at = now(), accepted_by_id = ${userId}, updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and user_id = ${userId} and accepted_at is null and revoked_at is null
    returning id, email, name, role, generation`)
  for (const row of rows) await tell(tx, 'accepted', row, { userId })
}

interface Told {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly role: string
  readonly generation: number
}

/** The generation goes with it, so that the mail of an event carries the link of that time; it is no secret. */
export const tell = (
  tx: Tx,
  verb: 'created' | 'resent' | 'revoked' | 'accepted',
  { id, email, name, role, generation }: Told,
  data: Readonly<Record<string, unknown>> = {},
): Promise<void> =>
  appendEvents(tx, [
    {
      name: `invitation.${verb}`,
      type: 'invitation',
      recordId: id,
      record: { id, name: name ?? email, email, role },
      data: { ...data, generation },
    },
  ])

interface Member {
  readonly id: string
  readonly name: string
  readonly email: string | null
  readonly role: string
  readonly active: boolean
  /** Whether he has an account to sign in with. */
  readonly able: boolean
}

/** The member who is invited; undefined when nobody is there yet. One without an email gets it. */
async function memberFor(
  tx: Tx,
  users: Repository,
  { email, userId }: Invited,
  at: string,
): Promise<Member | undefined> {
  const [member] = await tx.query<Member>(sql`
    select id, name, email, role, active, account_id is not null as able from users
    where tenant_id = ${tx.ctx.tenantId} and deleted_at is null
      and ${userId === undefined ? sql`email_normal = lower(${email})` : sql`id = ${userId}`}
    for no key update`)
  const path = userId === undefined ? at : at.replace(/email$/, 'userId')
  if (userId !== undefined && !member)
    throw invalidMember(path, 'must be the id of a record that you may read', 'invalid_reference')
  if (member?.able) throw duplicate(path, 'belongs to a member who can sign in already')
  if (member?.active === false) throw invalidMember(path, 'is of a member who is not active; make him active first')
  if (member?.email === null) await users.derive(tx, member.id, { email })
  else if (member && member.email.toLowerCase() !== email.toLowerCase())
    throw invalidMember(at, 'is not the email of this member')
  return member
}

/** Mails to strangers within a day: of a tenant, and to one address. Nobody's inbox is flooded in a free tenant's name. */
const mostOfTenant = 500
const mostToAddress = 5

async function refuseTooMany(tx: Tx, email: string): Promise<void> {
  const [sent] = await tx.query<{ all: number; there: number }>(sql`
    select coalesce(sum(generation), 0)::integer as all,
      coalesce(sum(generation) filter (where email_normal = lower(${email})), 0)::integer as there
    from invitations where tenant_id = ${tx.ctx.tenantId} and sent_at > now() - interval '1 day'`)
  if (!sent) throw new Error('the invitations could not be counted')
  if (sent.there > mostToAddress) throw tooMany(`${email} was invited ${mostToAddress} times today`)
  if (sent.all > mostOfTenant) throw tooMany(`This tenant has sent ${mostOfTenant} invitations today`)
}

const tooMany = (what: string): Problem => rule('TOO_MANY_INVITATIONS', `${what}; try again tomorrow`)

async function refuseUnknown(
  tx: Tx,
  table: 'teams' | 'roles',
  id: string | null | undefined,
  path: string,
): Promise<void> {
  if (id == null) return
  const [found] = await tx.query(sql`
    select 1 from ${raw(table)} where tenant_id = ${tx.ctx.tenantId} and id = ${id} and deleted_at is null`)
  if (!found) throw invalidMember(path, 'must be the id of a record that you may read', 'invalid_reference')
}

async function refuseEnded(tx: Tx, id: string): Promise<never> {
  const [row] = await tx.query(sql`
    select accepted_at is not null as accepted from invitations where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  if (!row) throw notFound()
  throw rule('INVITATION_ENDED', row.accepted ? 'This invitation was accepted' : 'This invitation was taken back')
}
