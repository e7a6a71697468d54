import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { invalidMember } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { type SignIn, startSession } from './auth.actions.ts'
import type { AuthDeps } from './deps.ts'
import { memberCtx } from './members.ts'
import { ownFactor } from './second-factor.ts'

/** A tenant that somebody belongs to. */
export interface Membership {
  readonly id: string
  readonly name: string
  readonly role: string
  readonly suspended: boolean
  readonly current: boolean
}

/** The tenants among which the caller can switch, the oldest membership first. */
export const membershipsOf = async (tx: Tx): Promise<Membership[]> =>
  tx.query<Membership>(sql`
    select m.tenant_id as id, m.name, m.role, m.suspended, m.tenant_id = ${tx.ctx.tenantId} as current
    from users u cross join lateral list_memberships(u.account_id) m
    where u.tenant_id = ${tx.ctx.tenantId} and u.id = ${tx.ctx.actor.id}`)

/**
 * Signs the caller in to another tenant of his, with the second factor that he has shown. The session that he comes from stays as it is: an answer that is lost
 * on the way leaves nobody outside.
 */
export async function switchTenant(deps: AuthDeps, ctx: Ctx, caller: Caller, tenantId: string): Promise<SignIn> {
  const [found] = await deps.db.tenant(ctx).query(sql`
    select u.account_id as id, credentials_version_of(u.account_id) as "credentialsVersion", m.user_id, ${ownFactor} as factor
    from users u cross join lateral find_membership_in(u.account_id, ${tenantId}) m
      join sessions s on s.tenant_id = u.tenant_id and s.id = ${ctx.sessionId} and s.ended_at is null
    where u.tenant_id = ${ctx.tenantId} and u.id = ${ctx.actor.id}`)
  // Whether there is such a tenant is not told.
  if (!found) throw invalidMember('tenantId', 'must be the id of a tenant that you belong to', 'invalid_reference')
  const there = await memberCtx(deps, caller, tenantId, found.user_id)
  const seen = { id: found.id, credentialsVersion: found.credentialsVersion }
  return deps.db.transaction(there, (tx) => startSession(deps, tx, seen, found.user_id, caller, found.factor))
}
