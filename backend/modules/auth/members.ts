import sql from 'sql-template-tag'
import { tenantSuspended } from '../../entities/tenants/standing.ts'
import { type Ctx, systemCtx } from '../../kernel/context.ts'
import { unauthenticated } from '../../kernel/errors.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import type { AuthDeps } from './deps.ts'
import { compileRights } from './rights.ts'

/** The context of an account's owner in the tenant used last, proved by what he was mailed. */
export async function homeCtx(deps: AuthDeps, caller: Caller, accountId: string): Promise<Ctx> {
  const [home] = await deps.db.anonymous(sql`select tenant_id, user_id from find_membership(${accountId})`)
  if (!home) throw unauthenticated('The account belongs to no tenant any more')
  return memberCtx(deps, caller, home.tenant_id, home.user_id)
}

/** The context of somebody who is signing in: he acts himself, though no token says so yet. */
export async function memberCtx(deps: AuthDeps, caller: Caller, tenantId: string, userId: string): Promise<Ctx> {
  const [user] = await deps.db.tenant(systemCtx(tenantId)).query(sql`
    select u.name, u.role, t.suspended_at is not null as suspended
    from users u join tenants t on t.id = u.tenant_id
    where u.tenant_id = ${tenantId} and u.id = ${userId} and u.active and u.deleted_at is null`)
  if (!user) throw unauthenticated('The session has ended')
  if (user.suspended) throw tenantSuspended()
  return callerCtx(caller, tenantId, userId, user.name, user.role)
}

/** The context of a member whom a call without a token is of. */
export const callerCtx = (caller: Caller, tenantId: string, userId: string, name: string, role: string): Ctx => ({
  tenantId,
  actor: { id: userId, type: 'user', name },
  rights: compileRights({ id: userId, role, team: [] }),
  sessionId: null,
  requestId: caller.requestId,
  operationId: newId(),
  ip: caller.ip,
  userAgent: caller.userAgent,
  lane: 'live',
})
