import { randomBytes } from 'node:crypto'
import sql from 'sql-template-tag'
import { createPipeline, defaultPipeline } from '../../entities/pipelines/pipeline.actions.ts'
import type { Limits } from '../../entities/tenants/plans.ts'
import { tenantSuspended } from '../../entities/tenants/standing.ts'
import { differences, tellOfTenant } from '../../entities/tenants/tenant.actions.ts'
import { invite } from '../../entities/users/invitation.actions.ts'
import type { Operator } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { invalidMember, notFound, stale } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import { operatorCtx } from './operator.ts'

/** What a platform operator says of a tenant. */
export interface Governed {
  readonly name?: string | undefined
  readonly plan?: string | undefined
  readonly ownLimits?: Readonly<Partial<Record<keyof Limits, number | null | undefined>>> | undefined
  readonly featureFlags?: Readonly<Record<string, boolean>> | undefined
  readonly suspended?: boolean | undefined
  /** Why it is suspended. */
  readonly reason?: string | undefined
}

/** What a platform operator makes. */
export interface NewTenant {
  readonly name: string
  readonly plan: string
  readonly owner: { readonly name: string; readonly email: string }
}

/** Makes a tenant with its first pipeline, and invites its owner. */
export async function foundTenant(
  db: Database,
  users: Repository,
  operator: Operator,
  { name, plan, owner }: NewTenant,
): Promise<string> {
  const id = newId()
  await db.transaction(operatorCtx(operator, id), async (tx) => {
    await tx.query(sql`select create_tenant(${id}, ${name}, false, ${plan})`)
    await createPipeline(tx, defaultPipeline)
    await tellOfTenant(tx, 'created', { id, name, version: 1 }, [])
    await invite(tx, users, { ...owner, role: 'owner' })
  })
  return id
}

/** Changes what the platform says of a tenant; its own log tells who did. Who suspends it says why. */
export async function governTenant(
  db: Database,
  operator: Operator,
  id: string,
  governed: Governed,
  expected: readonly number[] | null,
): Promise<void> {
  const { name, plan, ownLimits, featureFlags, suspended, reason } = governed
  if (suspended === true && reason === undefined)
    throw invalidMember('reason', 'is required, to suspend a tenant', 'required')
  if (suspended !== true && reason !== undefined)
    throw invalidMember('reason', 'is of a suspension: send it with "suspended": true')
  const stops =
    suspended === undefined ? {} : suspended ? suspension(reason) : { suspended_at: null, suspension_reason: null }
  const change = { name, plan, limits: ownLimits, flags: featureFlags, ...stops }
  await db.transaction(operatorCtx(operator, id), async (tx) => {
    const found = await govern(tx, id, change, expected)
    const { before, after } = found
    if (before.version === after.version) return
    const stopped = after.suspended_at !== null
    const moved = stopped !== (before.suspended_at !== null)
    const changes = differences(shown(before), shown(after))
    const verb = !moved ? 'governed' : stopped ? 'suspended' : 'resumed'
    await tellOfTenant(tx, verb, { id, name: String(after.name), version: after.version }, changes, {
      ...(reason === undefined ? {} : { reason }),
    })
  })
}

interface Row extends Readonly<Record<string, unknown>> {
  readonly version: number
}

/** A tenant that is suspended already stays so since when it was. */
const suspension = (reason: string | undefined) => ({ suspend: true, suspension_reason: reason })

async function govern(
  tx: Tx,
  id: string,
  change: Readonly<Record<string, unknown>>,
  expected: readonly number[] | null,
): Promise<{ before: Row; after: Row }> {
  const [found] = await tx.query<{ before: Row; after: Row }>(sql`
    select before, after from govern_tenant(${id}, ${JSON.stringify(change)}::jsonb, ${expected}::integer[])`)
  if (found) return found
  const [there] = await tx.query(sql`select 1 from tenants where id = ${id}`)
  throw there ? stale() : notFound()
}

const shown = ({ name, plan, limits, flags, suspended_at, suspension_reason }: Row) => ({
  name,
  plan,
  limits,
  featureFlags: flags,
  suspended: suspended_at !== null,
  suspensionReason: suspension_reason,
})

/** What it takes to act in a user's name: no refresh token, and the session ends with the access token. */
export interface StandIn {
  readonly sessionId: string
  readonly role: string
}

/**
 * Starts a session in which an operator acts in a user's name. Who, in whose name and why stands in the tenant's own
 * timeline before anything else is done.
 */
export async function standIn(
  db: Database,
  operator: Operator,
  tenantId: string,
  { userId, reason, seconds }: { userId: string; reason: string; seconds: number },
): Promise<StandIn> {
  return db.transaction(operatorCtx(operator, tenantId), async (tx) => {
    const [tenant] = await tx.query(sql`
      select name, version, suspended_at is not null as suspended from tenants where id = ${tenantId}`)
    if (!tenant) throw notFound()
    if (tenant.suspended) throw tenantSuspended()
    const [user] = await tx.query(sql`
      select name, role from users where tenant_id = ${tenantId} and id = ${userId} and active and deleted_at is null`)
    if (!user) throw invalidMember('userId', 'must be the id of an active user of the tenant', 'invalid_reference')
    const sessionId = newId()
    const { id, email } = operator
    await tx.query(sql`
      insert into sessions (tenant_id, id, user_id, token_hash, user_agent, ip, expires_at, operator)
      values (${tenantId}, ${sessionId}, ${userId}, ${randomBytes(32)}, ${operator.userAgent}, ${operator.ip},
              now() + make_interval(secs => ${seconds}), ${JSON.stringify({ id, email })})`)
    await appendEvents(tx, [
      {
        name: 'tenant.impersonated',
        type: 'tenant',
        recordId: tenantId,
        record: { id: tenantId, name: tenant.name },
        data: { userId, userName: user.name, reason, sessionId, seconds },
      },
    ])
    return { sessionId, role: user.role }
  })
}
