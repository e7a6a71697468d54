import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Made } from '../../kernel/entity/insert.ts'
import type { Changed, Expected, Repository, Stored, Values } from '../../kernel/entity/repository.ts'
import { duplicate, forbidden, invalidMember, notFound, rule } from '../../kernel/errors.ts'
import { refuseLasting } from '../../kernel/http/stand-in.ts'
import { newId } from '../../kernel/ids.ts'
import { endSessions } from './session.actions.ts'

/** Makes an account a member of the tenant. */
export async function addMember(
  tx: Tx,
  users: Repository,
  accountId: string,
  values: Values,
  id = newId(),
): Promise<Stored> {
  // The account is no member of the API: the column takes it from the transaction.
  await tx.query(sql`select set_config('app.account_id', ${accountId}, true)`)
  try {
    return await users.create(tx, values, { id })
  } catch (error) {
    if (error instanceof Error && 'constraint' in error && error.constraint === 'users_account') {
      throw duplicate('email', 'email belongs to a member of this tenant already')
    }
    throw error
  }
}

/** Gives a member who could not sign in until now the account that he signs in with. */
export async function giveAccount(tx: Tx, accountId: string, userId: string): Promise<void> {
  await tx.query(sql`
    update users set account_id = ${accountId} where tenant_id = ${tx.ctx.tenantId} and id = ${userId} and account_id is null`)
}

/** Makes members who cannot sign in until they are invited: they have no account yet, and perhaps no email. */
export async function addUninvited(
  tx: Tx,
  users: Repository,
  records: Parameters<Repository['createMany']>[1],
): Promise<Made[]> {
  for (const { values } of records) refuseMaking(tx, values)
  return users.createMany(tx, records)
}

/** Changes a member. Owners are made and unmade by owners only, and one always remains. */
export async function updateUser(
  tx: Tx,
  users: Repository,
  id: string,
  values: Values,
  expected: Expected,
): Promise<Changed> {
  const before = await lockUser(tx, id)
  if (before) {
    refuseRoleOfAll({ ...before, ...values })
    if (isAltered(values.role, before.role) || isAltered(values.roleId, before.roleId)) refuseLasting(tx.ctx)
    if (isAltered(values.role, before.role)) refuseRole(tx, values.role, before.role)
    if (isAltered(values.active, before.active)) refuseRole(tx, before.role)
    const leaves = (values.role !== undefined && values.role !== 'owner') || values.active === false
    if (before.role === 'owner' && before.active && leaves) refuseLastOwner(before)
    if (values.active === false && id === tx.ctx.actor.id) throw rule('OWN_ACCOUNT', 'You cannot deactivate yourself')
  }
  const changed = await users.update(tx, id, values, { expected })
  if (values.active === false && changed.changed) await endSessions(tx, id, 'deactivated')
  return changed
}

const isAltered = (wanted: unknown, before: unknown): boolean => wanted !== undefined && wanted !== before

/** Ends a membership and its sessions; the id keeps resolving as owner, author and actor. */
export async function removeUser(tx: Tx, users: Repository, id: string, expected: Expected): Promise<void> {
  const before = await lockUser(tx, id)
  if (before && id === tx.ctx.actor.id) throw rule('OWN_ACCOUNT', 'You cannot remove yourself')
  if (before?.role === 'owner') {
    refuseRole(tx, 'owner')
    refuseLastOwner(before)
  }
  await users.remove(tx, id, expected)
  await endSessions(tx, id, 'removed')
}

/** Locks a member; 404 when there is none, 403 when he is an owner and the caller is not. */
export async function lockMember(tx: Tx, id: string): Promise<void> {
  const member = await lockUser(tx, id)
  if (!member) throw notFound()
  refuseRole(tx, member.role)
}

interface Locked {
  readonly role: string
  readonly roleId: string | null
  readonly active: boolean
  /** Of an owner: how many others there are who are active. */
  readonly otherOwners: number
}

/** Locks a member, and of an owner the other owners with him, in one order: two who lay it down at once take turns. */
async function lockUser(tx: Tx, id: string): Promise<Locked | undefined> {
  const { tenantId } = tx.ctx
  const locked = await tx.query<Locked & { self: boolean }>(sql`
    select u.id = ${id} as self, u.role, u.role_id as "roleId", u.active from users u
    where u.tenant_id = ${tenantId} and u.deleted_at is null and (u.id = ${id} or (u.role = 'owner' and u.active
      and exists (select from users o where o.tenant_id = ${tenantId} and o.id = ${id} and o.role = 'owner')))
    order by u.id for no key update of u`)
  const user = locked.find(({ self }) => self)
  return user && { ...user, otherOwners: locked.length - 1 }
}

/** Throws 403 for an owner who is made by another and for whom an operator makes on a visit, 400 for an owner with a role of the tenant's own. */
export function refuseMaking(tx: Tx, values: Values): void {
  refuseLasting(tx.ctx)
  refuseRole(tx, values.role)
  refuseRoleOfAll(values)
}

/** Only owners make and unmake owners; 403. */
export function refuseRole(tx: Tx, ...touched: unknown[]): void {
  if (touched.includes('owner') && !['owner', 'system'].includes(tx.ctx.rights.role))
    throw forbidden('Only an owner makes and unmakes owners')
}

function refuseLastOwner({ otherOwners }: Locked): void {
  if (otherOwners === 0) throw rule('LAST_OWNER', 'A tenant keeps at least one active owner')
}

/** Owners and administrators have all rights: what a role of the tenant's own took from them would not hold. */
export function refuseRoleOfAll({ role, roleId }: Values, path = 'roleId'): void {
  if (roleId != null && (role === 'owner' || role === 'admin'))
    throw invalidMember(path, `must be null: an ${role} has all rights`)
}
