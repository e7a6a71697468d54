import sql from 'sql-template-tag'
import { claimAccount, createAccount } from '../../entities/users/account.actions.ts'
import { addMember } from '../../entities/users/user.actions.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { email as emailField } from '../../kernel/entity/fields.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { forbidden } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Issuer } from '../../kernel/issuers.ts'
import { type Occasion, type Person, personOf, type RawClaims, type Role, speaksFor } from './claims.ts'

/** A user whom claims have led to. */
export interface Known {
  readonly tenantId: string
  readonly userId: string
}

/**
 * The user of a tenant that an issuer's claims lead to: linked by issuer and subject; else by a verified email of a
 * domain that the issuer speaks for; else made just in time. His role follows the claims at each sign-in. Throws 403 that
 * says what is missing.
 */
export async function knownBy(
  { db, users }: { db: Database; users: Repository },
  issuer: Issuer,
  claims: RawClaims,
  occasion: Occasion,
  cause: Partial<Ctx>,
): Promise<Known> {
  const person = personOf(issuer, claims, occasion)
  const { tenantId } = person
  if (tenantId === null) throw forbidden(noTenant)
  if (person.role === null) throw forbidden(noRole)
  const ctx = systemCtx(tenantId, cause)
  const before = await findIdentity(db.tenant(ctx), person)
  if (before && !changes(before, person.role)) return admitted(tenantId, before)
  return db.transaction(ctx, async (tx) => {
    const known = (await findIdentity(tx, person)) ?? (await introduce(tx, users, issuer, person))
    const found = admitted(tenantId, known)
    if (changes(known, person.role)) await users.update(tx, known.id, ofClaims(person.role))
    return found
  })
}

const noRole = 'Your sign-in gives you no role here; ask the administrator'
const noTenant = 'Your sign-in names no tenant; ask its administrator'

/** An owner is made and unmade by owners only, whatever an issuer says. */
const changes = ({ role }: Member, wanted: Role | null | undefined): boolean =>
  Boolean(wanted) && role !== wanted && role !== 'owner'

/** Who is made an administrator has all rights: no role of the tenant's own says less. */
const ofClaims = (role: Role | null | undefined): Values => (role === 'admin' ? { role, roleId: null } : { role })

function admitted(tenantId: string, { id, active }: Member): Known {
  if (!active) throw forbidden('You are no active member of this tenant; ask its administrator')
  return { tenantId, userId: id }
}

interface Member {
  readonly id: string
  readonly role: string
  readonly active: boolean
}

async function findIdentity(tx: Tx, { issuer, subject }: Person): Promise<Member | undefined> {
  const [found] = await tx.query<Member>(sql`
    select u.id, u.role, u.active and u.deleted_at is null as active
    from openid_identities i join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
    where i.tenant_id = ${tx.ctx.tenantId} and i.issuer = ${issuer} and i.subject = ${subject}`)
  return found
}

/** Two first sign-ins of one person take turns, so that he becomes one member. */
async function introduce(tx: Tx, users: Repository, issuer: Issuer, person: Person): Promise<Member> {
  await tx.query(sql`
    select pg_advisory_xact_lock(hashtextextended(${`openid ${tx.ctx.tenantId} ${person.issuer} ${person.subject}`}, 0))`)
  const [tenant] = await tx.query(sql`select 1 from tenants where id = ${tx.ctx.tenantId}`)
  if (!tenant) throw forbidden(noTenant)
  const meanwhile = await findIdentity(tx, person)
  if (meanwhile) return meanwhile
  const email = emailField().schema.safeParse(person.email)
  if (!email.success) throw forbidden('Your sign-in brings no verified email, by which you could be known here')
  const member =
    (await findMember(tx, issuer, String(email.data))) ?? (await join(tx, users, issuer, person, String(email.data)))
  await tx.query(sql`
    insert into openid_identities (tenant_id, issuer, subject, user_id)
    values (${tx.ctx.tenantId}, ${person.issuer}, ${person.subject}, ${member.id})`)
  if (speaksFor(issuer, String(email.data))) await claimAccount(tx, member.id, String(email.data), null)
  await appendEvents(tx, [
    {
      name: 'user.identity_linked',
      type: 'user',
      recordId: member.id,
      data: { userId: member.id, provider: issuer.id },
    },
  ])
  return member
}

async function findMember(tx: Tx, issuer: Issuer, email: string): Promise<Member | undefined> {
  if (!speaksFor(issuer, email)) return undefined
  const [found] = await tx.query<Member>(sql`
    select id, role, active from users
    where tenant_id = ${tx.ctx.tenantId} and lower(email) = lower(${email}) and account_id is not null and deleted_at is null
    order by created_at limit 1`)
  return found
}

async function join(tx: Tx, users: Repository, issuer: Issuer, person: Person, email: string): Promise<Member> {
  if (!issuer.jit) throw forbidden('You are no member of this tenant; ask its administrator for an invitation')
  const [account] = await tx.query(sql`select id from find_account(${email})`)
  // Else an issuer that one tenant trusts could take over the person of another.
  if (account && !speaksFor(issuer, email))
    throw forbidden('This email has an account already; ask the administrator for an invitation')
  const accountId = account?.id ?? (await createAccount(tx, email, null))
  const role = person.role ?? issuer.defaultRole ?? (Object.keys(issuer.roles).length === 0 ? 'member' : null)
  if (role === null) throw forbidden(noRole)
  const made = await addMember(tx, users, accountId, { name: person.name, email, role })
  return { id: made.id, role, active: true }
}
