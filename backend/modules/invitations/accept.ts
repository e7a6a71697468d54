import sql from 'sql-template-tag'
import { tenantSuspended } from '../../entities/tenants/standing.ts'
import { claimAccount, createAccount } from '../../entities/users/account.actions.ts'
import { tell } from '../../entities/users/invitation.actions.ts'
import { addMember, giveAccount } from '../../entities/users/user.actions.ts'
import { systemCtx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { conflict, duplicate, invalidMember } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import { hashPassword } from '../../kernel/password.ts'
import type { Mark } from '../../kernel/signed-token.ts'
import { readInvitationToken } from './token.ts'

/** What accepting needs of the sign-in. */
export interface AcceptDeps<SignIn> {
  readonly db: Database
  readonly users: Repository
  readonly mark: Mark
  /** The account whose credentials these are. Throws 401, and whatever else a sign-in may refuse. */
  prove(caller: Caller, credentials: Credentials): Promise<Proved>
  /** The account, and the factor of the session, of who sends an access token; undefined when he sends none. Throws 401 when it is not good. */
  provedBy(caller: Caller): Promise<Proved | undefined>
  startSession(
    tx: Tx,
    account: Proved['account'],
    userId: string,
    caller: Caller,
    factor: Proved['factor'],
  ): Promise<SignIn>
}

/** An account that somebody has proved to be his. */
export interface Proved {
  /** With the version of what it was proved by; null: by nothing of its own. */
  readonly account: { readonly id: string; readonly credentialsVersion: number | null }
  /** The second factor that was shown with it. */
  readonly factor: { readonly kind: 'totp' | 'passkey' | 'issuer'; readonly passkeyId: string | null } | null
  /** Tells, in the transaction in which it is made use of, what was spent. */
  tell(tx: Tx): Promise<void>
}

/** Email, password and code, as a sign-in takes them. */
export interface Credentials {
  readonly email: string
  readonly password: string
  readonly totp?: string | undefined
}

/** What who accepts sends. */
export interface Accepting {
  readonly token: string
  readonly name?: string | undefined
  readonly password?: string | undefined
  readonly totp?: string | undefined
}

interface Row {
  readonly id: string
  readonly tenantId: string
  readonly email: string
  readonly name: string | null
  readonly role: string
  readonly roleId: string | null
  readonly teamId: string | null
  readonly userId: string | null
  readonly generation: number
}

/**
 * Makes somebody a member of the tenant that invited him, and signs him in. Who has an account proves it, by being signed
 * in or by his password; for anybody else one is made. Who made an account and never proved its address may be another than
 * who reads its mail: the latter chooses its password anew. Of two at once, one is accepted.
 */
export async function acceptInvitation<SignIn>(
  deps: AcceptDeps<SignIn>,
  caller: Caller,
  accepting: Accepting,
): Promise<SignIn> {
  const { db } = deps
  const invitation = await openInvitation(deps, accepting.token)
  const name = accepting.name ?? invitation.name ?? undefined
  const [known] = await db.anonymous<Known>(sql`select id, verified from find_account(${invitation.email})`)
  const proof = known && (await proven(deps, caller, known, invitation.email, accepting))
  if (!known && name === undefined) throw invalidMember('name', 'is required, as you have no account yet', 'required')
  const passwordHash = proof ? null : await chosen(accepting)
  const userId = invitation.userId ?? newId()
  const called = name ?? invitation.email
  const ctx = systemCtx(invitation.tenantId, {
    actor: { id: userId, type: 'user', name: called },
    ...{ requestId: caller.requestId, ip: caller.ip, userAgent: caller.userAgent },
  })
  return db.transaction(ctx, async (tx) => {
    const accountId = known?.id ?? (await createAccount(tx, invitation.email, passwordHash))
    await spend(tx, invitation, userId)
    if (invitation.userId === null) await join(tx, deps.users, accountId, userId, called, invitation)
    else await enable(tx, deps.users, accountId, invitation.userId, accepting.name)
    await tell(tx, 'accepted', invitation, { userId })
    await proof?.tell(tx)
    // Who holds the link reads what is sent to the address.
    if (known && !proof) await claim(tx, userId, invitation.email, passwordHash)
    else await tx.query(sql`select verify_account_email(${accountId}, ${invitation.email})`)
    const account = proof?.account ?? { id: accountId, credentialsVersion: null }
    return deps.startSession(tx, account, userId, caller, proof?.factor ?? null)
  })
}

async function openInvitation({ db, mark }: Pick<AcceptDeps<unknown>, 'db' | 'mark'>, token: string): Promise<Row> {
  const claim = readInvitationToken(mark, token)
  if (!claim) throw spent()
  const [found] = await db.anonymous(sql`select tenant_id from find_invitation(${claim.id})`)
  if (!found) throw spent()
  const [row] = await db.tenant(systemCtx(found.tenant_id)).query<Row & { suspended: boolean }>(sql`
    select i.id, i.tenant_id as "tenantId", i.email, coalesce(u.name, i.name) as name, i.role, i.role_id as "roleId", m.id as "teamId",
      i.user_id as "userId", i.generation, t.suspended_at is not null as suspended
    from invitations i join tenants t on t.id = i.tenant_id
      left join teams m on m.tenant_id = i.tenant_id and m.id = i.team_id and m.deleted_at is null
      left join users u on u.tenant_id = i.tenant_id and u.id = i.user_id
    where i.tenant_id = ${found.tenant_id} and i.id = ${claim.id} and i.generation = ${claim.generation}
      and i.accepted_at is null and i.revoked_at is null and i.expires_at > now()
      and (i.user_id is null or u.active and u.deleted_at is null and u.account_id is null)`)
  if (!row) throw spent()
  if (row.suspended) throw tenantSuspended()
  return row
}

const spent = () =>
  invalidMember(
    'token',
    'is not good, or no longer: it was used, taken back, sent again or has expired; ask for another',
  )

interface Known {
  readonly id: string
  /** Whether somebody has proved its address. */
  readonly verified: boolean
}

/** Undefined for an account that may not be his who made it. */
async function proven(
  deps: Pick<AcceptDeps<unknown>, 'prove' | 'provedBy'>,
  caller: Caller,
  { id, verified }: Known,
  email: string,
  { password, totp }: Accepting,
): Promise<Proved | undefined> {
  const signedIn = await deps.provedBy(caller)
  if (signedIn?.account.id === id) return signedIn
  if (!verified) return undefined
  if (password === undefined)
    throw invalidMember('password', 'is required: this email has an account already', 'required')
  return deps.prove(caller, { email, password, totp })
}

async function chosen({ password }: Accepting): Promise<string> {
  if (password === undefined) throw invalidMember('password', 'is required, as you have no account yet', 'required')
  return hashPassword(password)
}

async function claim(tx: Tx, userId: string, email: string, passwordHash: string | null): Promise<void> {
  if (!(await claimAccount(tx, userId, email, passwordHash)))
    throw conflict('The address was proved by another request meanwhile; try again')
}

async function spend(tx: Tx, { id, generation }: Row, userId: string): Promise<void> {
  const [row] = await tx.query(sql`
    update invitations set accepted_at = now(), accepted_by_id = ${userId}, updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and generation = ${generation}
      and accepted_at is null and revoked_at is null and expires_at > now()
    returning id`)
  if (!row) throw spent()
}

async function join(
  tx: Tx,
  users: Repository,
  accountId: string,
  userId: string,
  name: string,
  { email, role, roleId, teamId }: Row,
): Promise<void> {
  const values = { name, email, role, ...(roleId === null ? {} : { roleId }), ...(teamId === null ? {} : { teamId }) }
  await addMember(tx, users, accountId, values, userId)
}

/** A member who was there before he could sign in: what was his stays his. */
async function enable(
  tx: Tx,
  users: Repository,
  accountId: string,
  userId: string,
  name: string | undefined,
): Promise<void> {
  const [other] = await tx.query(sql`
    select 1 from users where tenant_id = ${tx.ctx.tenantId} and account_id = ${accountId} and deleted_at is null`)
  if (other) throw duplicate('token', 'is for another member: you belong to this tenant already')
  await giveAccount(tx, accountId, userId)
  if (name !== undefined) await users.update(tx, userId, { name })
}
