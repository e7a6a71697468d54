import sql from 'sql-template-tag'
import { claimAccount, createAccount } from '../../entities/users/account.actions.ts'
import { addMember } from '../../entities/users/user.actions.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { email as emailField } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { forbidden } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Issuer } from '../../kernel/issuers.ts'
import { givesRoles, type Occasion, type Person, personOf, type RawClaims, speaksFor } from './claims.ts'
import {
  enable,
  findByEmail,
  findIdentity,
  heed,
  type Identity,
  isSettled,
  lockIdentity,
  type Member,
} from './identities.ts'

/** A user whom claims have led to. */
export interface Known {
  readonly tenantId: string
  readonly userId: string
}

/**
 * The user of a tenant that an issuer's claims lead to: linked by issuer and subject; else by a verified email of a
 * domain that the issuer speaks for; else made just in time. What the claims tell of his roles is done, unless the issuer
 * has told something since. Throws 403 that says what is missing.
 */
export async function admit(
  { db, users }: { db: Database; users: Repository },
  issuer: Issuer,
  claims: RawClaims,
  occasion: Occasion,
  cause: Partial<Ctx>,
): Promise<Known> {
  const person = personOf(issuer, claims, occasion)
  const { tenantId } = person
  if (tenantId === null) throw forbidden(noTenant)
  const ctx = systemCtx(tenantId, cause)
  const before = await findIdentity(db.tenant(ctx), person)
  if (before === undefined && person.role === null) throw forbidden(noRole)
  if (before && before !== 'removed' && isSettled(before, person)) return known(issuer, tenantId, before)
  const now = await db.transaction(ctx, async (tx) => {
    const identity = (await lockIdentity(tx, person)) ?? (await introduce(tx, users, issuer, person))
    return heed(tx, users, identity, person)
  })
  return known(issuer, tenantId, now)
}

const noRole = 'Your sign-in gives you no role here; ask the administrator'
const noTenant = 'Your sign-in names no tenant; ask its administrator'
const inactive = 'You are no active member of this tenant; ask its administrator'

function known(issuer: Issuer, tenantId: string, { id, active, refused }: Identity): Known {
  if (!active) throw forbidden(inactive)
  if (refused && givesRoles(issuer)) throw forbidden(noRole)
  return { tenantId, userId: id }
}

/** Two first sign-ins of one person take turns, so that he becomes one member. */
async function introduce(tx: Tx, users: Repository, issuer: Issuer, person: Person): Promise<Identity> {
  await tx.query(sql`
    select pg_advisory_xact_lock(hashtextextended(${`openid ${tx.ctx.tenantId} ${person.issuer} ${person.subject}`}, 0))`)
  const [tenant] = await tx.query(sql`select 1 from tenants where id = ${tx.ctx.tenantId}`)
  if (!tenant) throw forbidden(noTenant)
  const meanwhile = await lockIdentity(tx, person)
  if (meanwhile) return meanwhile
  const email = emailField().schema.safeParse(person.email)
  if (!email.success) throw forbidden('Your sign-in brings no verified email, by which you could be known here')
  const member =
    (await findMember(tx, issuer, String(email.data))) ?? (await join(tx, users, issuer, person, String(email.data)))
  if (!member.active) throw forbidden(inactive)
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
  return { ...member, toldAt: null, refused: false }
}

async function findMember(tx: Tx, issuer: Issuer, email: string): Promise<Member | undefined> {
  const found = speaksFor(issuer, email) ? await findByEmail(tx, email) : undefined
  if (found && !found.able) await enable(tx, await accountOf(tx, email), found.id)
  return found
}

const accountOf = async (tx: Tx, email: string): Promise<string> => {
  const [account] = await tx.query(sql`select id from find_account(${email})`)
  return account?.id ?? createAccount(tx, email, null)
}

async function join(tx: Tx, users: Repository, issuer: Issuer, person: Person, email: string): Promise<Member> {
  if (!issuer.jit) throw forbidden('You are no member of this tenant; ask its administrator for an invitation')
  const [account] = await tx.query(sql`select id from find_account(${email})`)
  // Else an issuer that one tenant trusts could take over the person of another.
  if (account && !speaksFor(issuer, email))
    throw forbidden('This email has an account already; ask the administrator for an invitation')
  const accountId = account?.id ?? (await createAccount(tx, email, null))
  const role = person.role ?? issuer.defaultRole ?? (givesRoles(issuer) ? null : 'member')
  if (role === null) throw forbidden(noRole)
  const made = await addMember(tx, users, accountId, { name: person.name, email, role })
  return { id: made.id, role, active: true }
}
