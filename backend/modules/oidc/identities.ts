import sql from 'sql-template-tag'
import { acceptFor } from '../../entities/users/invitation.actions.ts'
import { endSessions } from '../../entities/users/session.actions.ts'
import { giveAccount } from '../../entities/users/user.actions.ts'
import type { Tx } from '../../kernel/db/database.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { forbidden } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Person, Role } from './claims.ts'

/** A member of the tenant. */
export interface Member {
  readonly id: string
  readonly role: string
  readonly active: boolean
}

/** A member whom an issuer knows, and what it last told of his roles. */
export interface Identity extends Member {
  /** In seconds since 1970; null: it has told nothing yet. */
  readonly toldAt: number | null
  /** Whether it told that he has none. */
  readonly refused: boolean
}

interface Linked extends Omit<Identity, 'id'> {
  /** Null: the member was removed. */
  readonly id: string | null
  /** The member who was linked, removed or not. */
  readonly linkedId: string
  readonly accountId: string
  readonly email: string | null
}

/** The identity of a person; undefined when he was never linked, `removed` when whom he was linked to is no member any more. */
export async function findIdentity(tx: Tx, person: Person): Promise<Identity | 'removed' | undefined> {
  const found = await findLinked(tx, person)
  return found && (isLive(found) ? found : 'removed')
}

/**
 * The same, for who is about to write what is told: others wait. Who was removed and added again is linked to the
 * member that he is now; throws 403 when nobody added him.
 */
export async function lockIdentity(tx: Tx, person: Person): Promise<Identity | undefined> {
  const { issuer, subject } = person
  const locked = await tx.query(sql`
    select 1 from openid_identities
    where tenant_id = ${tx.ctx.tenantId} and issuer = ${issuer} and subject = ${subject} for update`)
  const found = locked.length > 0 ? await findLinked(tx, person) : undefined
  if (!found) return undefined
  const live = isLive(found) ? found : { ...found, ...(await findAdded(tx, found)) }
  if (live.id !== live.linkedId)
    await tx.query(sql`
      update openid_identities set user_id = ${live.id}
      where tenant_id = ${tx.ctx.tenantId} and issuer = ${issuer} and subject = ${subject}`)
  return live
}

const isLive = (linked: Linked): linked is Linked & Identity => linked.id !== null

/** By the account: removed and added again, he is another user of the same. */
async function findLinked(tx: Tx, { issuer, subject }: Person): Promise<Linked | undefined> {
  const [found] = await tx.query<Linked>(sql`
    select u.id as "linkedId", u.account_id as "accountId", u.email, m.id, m.role, m.active, i.refused,
      extract(epoch from i.told_at)::float as "toldAt"
    from openid_identities i join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
      left join users m on m.tenant_id = u.tenant_id and m.account_id = u.account_id and m.deleted_at is null
    where i.tenant_id = ${tx.ctx.tenantId} and i.issuer = ${issuer} and i.subject = ${subject}`)
  return found
}

async function findAdded(tx: Tx, { accountId, email }: Linked): Promise<Member> {
  const added = email === null ? undefined : await findByEmail(tx, email)
  if (!added || added.able) throw forbidden('You were removed from this tenant; ask its administrator to add you again')
  await enable(tx, accountId, added.id)
  return added
}

/** The member with an email, and whether he can sign in; the one who can comes first. */
export async function findByEmail(tx: Tx, email: string): Promise<(Member & { able: boolean }) | undefined> {
  const [found] = await tx.query<Member & { able: boolean }>(sql`
    select id, role, active, account_id is not null as able from users
    where tenant_id = ${tx.ctx.tenantId} and email_normal = lower(${email}) and deleted_at is null
    order by account_id is null, created_at limit 1`)
  return found
}

/** Lets a member sign in who could not, and ends the invitation that asked him to. */
export async function enable(tx: Tx, accountId: string, userId: string): Promise<void> {
  await giveAccount(tx, accountId, userId)
  await acceptFor(tx, userId)
}

/** Whether an issuer tells something of roles that is not older than what it told before. */
export const isNews = ({ toldAt }: Identity, person: Person): boolean =>
  person.role !== undefined && person.toldAt >= (toldAt ?? 0)

/** Whether what an issuer tells is done already. */
export const isSettled = (identity: Identity, person: Person): boolean =>
  !isNews(identity, person) ||
  (person.toldAt === identity.toldAt && identity.refused === (person.role === null) && !changes(identity, person.role))

/** An owner is made and unmade by owners only, whatever an issuer says. */
const changes = ({ role }: Member, wanted: Role | null | undefined): boolean =>
  Boolean(wanted) && role !== wanted && role !== 'owner'

/** Who is made an administrator has all rights: no role of the tenant's own says less. */
const ofClaims = (role: Role | null | undefined): Values => (role === 'admin' ? { role, roleId: null } : { role })

/** Does what an issuer tells: gives the role; of who has none any more it ends the sessions, and lets him in no more. */
export async function heed(tx: Tx, users: Repository, identity: Identity, person: Person): Promise<Identity> {
  if (!isNews(identity, person)) return identity
  const { role, toldAt, issuer, subject } = person
  const { tenantId } = tx.ctx
  const refused = role === null
  await tx.query(sql`
    update openid_identities set told_at = to_timestamp(${toldAt}), refused = ${refused}
    where tenant_id = ${tenantId} and issuer = ${issuer} and subject = ${subject}`)
  if (refused) {
    await tx.query(sql`delete from openid_codes where tenant_id = ${tenantId} and user_id = ${identity.id}`)
    await endSessions(tx, identity.id, 'role_lost')
    const data = { userId: identity.id, issuer }
    await appendEvents(tx, [{ name: 'user.identity_refused', type: 'user', recordId: identity.id, data }])
  }
  if (changes(identity, role)) await users.update(tx, identity.id, ofClaims(role))
  return { ...identity, refused, toldAt }
}
