import sql, { type Sql } from 'sql-template-tag'
import { rightsChangers } from '../../entities/users/rights-changers.ts'
import { type Actor, type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database, Tx, WorkerTx } from '../../kernel/db/database.ts'
import { forbidden, unauthenticated } from '../../kernel/errors.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Authenticator, SignedIn } from '../../kernel/http/authenticator.ts'
import { createRecall } from '../../kernel/http/recall.ts'
import type { Caller } from '../../kernel/http/route.ts'
import { newId } from '../../kernel/ids.ts'
import type { Rights } from '../../kernel/rights.ts'
import type { Operators } from './operators.ts'
import { compileRights, type Member, type OwnRole } from './rights.ts'
import { createSessionUse } from './session-use.ts'
import type { Claims, Tokens } from './tokens.ts'

interface Principal {
  readonly userId: string
  readonly name: string
  readonly rights: Rights
  /** Whether no second factor was shown in the session. */
  readonly lacksFactor: boolean
  /** Who acts in his name in this session. */
  readonly operator: Actor['operator'] | null
  readonly lastUsedAt: number
}

/** An authenticator whose cache the log keeps right. */
export interface Principals extends Authenticator {
  /** Forgets who is concerned by events: changed users and teams, ended sessions. */
  forget(events: readonly Pick<DomainEvent, 'tenantId' | 'type'>[]): void
  /** What users may do, of all tenants at once; none for who is not there. */
  rightsOf(users: readonly UserKey[]): Promise<(user: UserKey) => Rights | undefined>
}

/** A user of a tenant. */
export interface UserKey {
  readonly tenantId: string
  readonly id: string
}

/** Checks access tokens against live sessions and rights, remembered by session for a second at most. */
export function createPrincipals(db: Database, tokens: Tokens, operators: Operators): Principals {
  const sessions = createRecall<Principal>(rightsChangers)
  const used = createSessionUse()
  const principalOf = (tenantId: string, sessionId: string, userId: string): Promise<Principal> =>
    sessions.recall(tenantId, sessionId, () => load(db.tenant(systemCtx(tenantId)), sessionId, userId))
  const signedIn = async (claims: Claims, caller: Caller): Promise<SignedIn> => {
    const principal = await principalOf(claims.tid, claims.sid, claims.sub)
    // The cache knows sessions: whose token it was that loaded one says nothing of this token.
    if (principal.userId !== claims.sub) throw unauthenticated()
    const { lastUsedAt } = principal
    used.note(db.tenant(systemCtx(claims.tid)), { id: claims.sid, lastUsedAt }, caller.ip)
    const ctx: Ctx = {
      tenantId: claims.tid,
      actor: actorOf(principal),
      rights: principal.rights,
      sessionId: claims.sid,
      requestId: caller.requestId,
      operationId: newId(),
      ip: caller.ip,
      userAgent: caller.userAgent,
      lane: 'live',
    }
    return { ctx, lacksFactor: principal.lacksFactor, expiresAt: claims.exp * 1000 }
  }
  return {
    identify: async (token, caller) => {
      const claims = tokens.readAccess(token)
      return claims.tid === undefined
        ? { operator: await operators.identify(claims, caller) }
        : signedIn(claims, caller)
    },
    authenticate: async (token, caller) => {
      const claims = tokens.readAccess(token)
      if (claims.tid !== undefined) return signedIn(claims, caller)
      await operators.identify(claims, caller)
      throw forbidden('Sign in as a user of a tenant: you are signed in as a platform operator')
    },
    forget: sessions.forget,
    rightsOf: async (users) => {
      const found = new Map<string, Rights>()
      for (const user of users.length === 0 ? [] : await loadUsers(db.worker, users))
        found.set(keyOf(user), compileRights(memberOf(user)))
      return (user) => found.get(keyOf(user))
    },
  }
}

async function load(tx: Tx, sessionId: string, userId: string): Promise<Principal> {
  const [row] = await tx.query<MemberRow & SessionRow>(sql`
    select u.name, ${member}, s.operator, s.last_used_at as "lastUsedAt",
      s.second_factor is null and s.operator is null as "lacksFactor"
    from users u join sessions s on s.tenant_id = u.tenant_id and s.user_id = u.id
    where u.tenant_id = ${tx.ctx.tenantId} and u.id = ${userId} and u.active and u.deleted_at is null
      and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now()`)
  if (!row) throw unauthenticated('The session has ended')
  const { name, operator, lastUsedAt, lacksFactor, ...rest } = row
  return {
    userId: row.id,
    name,
    rights: compileRights(memberOf(rest)),
    operator,
    lastUsedAt: lastUsedAt.getTime(),
    lacksFactor,
  }
}

interface SessionRow {
  readonly name: string
  readonly operator: NonNullable<Principal['operator']> | null
  readonly lastUsedAt: Date
  readonly lacksFactor: boolean
}

/** Who acts: of a user in whose name an operator acts, everything says so. */
function actorOf({ userId: id, name, operator }: Principal): Actor {
  if (operator === null || operator === undefined) return { id, type: 'user', name }
  return { id, type: 'user', name: `${name} (by the operator ${operator.email})`, operator }
}

interface MemberRow extends Omit<Member, 'own'> {
  readonly roleId: string | null
  readonly permissions: OwnRole['permissions'] | null
  readonly fieldRules: OwnRole['fieldRules'] | null
}

function memberOf({ roleId, permissions, fieldRules, ...rest }: MemberRow): Member {
  if (roleId === null) return rest
  return { ...rest, own: permissions && fieldRules ? { permissions, fieldRules } : 'gone' }
}

const loadUsers = (db: WorkerTx, users: readonly UserKey[]) =>
  db.query<UserKey & MemberRow>(sql`
    select u.tenant_id as "tenantId", ${member}
    from (select distinct w."tenantId", w.id
          from jsonb_to_recordset(${JSON.stringify(users)}::jsonb) as w("tenantId" uuid, id uuid)) w
    join users u on u.tenant_id = w."tenantId" and u.id = w.id and u.active and u.deleted_at is null`)

/**
 * Of a user `u`: who is in his teams or in teams below them, and who reports to him, transitively; asked for where a role
 * could make use of it.
 */
const team: Sql = sql`array(
  with recursive led as (
    select t.id from teams t
    where t.tenant_id = u.tenant_id and t.deleted_at is null and (t.id = u.team_id or t.manager_id = u.id)
    union
    select t.id from teams t join led on t.parent_id = led.id where t.tenant_id = u.tenant_id and t.deleted_at is null
  ), mine as (
    select m.id from users m where m.tenant_id = u.tenant_id and m.deleted_at is null
      and (m.manager_id = u.id or m.team_id = u.team_id or m.team_id in (select led.id from led))
    union
    select m.id from users m join mine on m.manager_id = mine.id where m.tenant_id = u.tenant_id and m.deleted_at is null
  ) select mine.id from mine where u.role = 'manager' or u.role_id is not null)`

/** Of a user `u`: the teams that he manages or is in, and those above: what is shared with them is shared with him. */
const teamIds: Sql = sql`array(
  with recursive above as (
    select t.id, t.parent_id from teams t
    where t.tenant_id = u.tenant_id and t.deleted_at is null and (t.id = u.team_id or t.manager_id = u.id)
    union
    select t.id, t.parent_id from teams t join above on t.id = above.parent_id
    where t.tenant_id = u.tenant_id and t.deleted_at is null
  ) select above.id from above)`

const ownRole = (column: Sql): Sql => sql`
  (select ${column} from roles o where o.tenant_id = u.tenant_id and o.id = u.role_id and o.deleted_at is null)`

/** All of a user `u` from which his rights follow. */
const member: Sql = sql`u.id, u.role, ${team} as team, ${teamIds} as "teamIds", u.role_id as "roleId",
  ${ownRole(sql`o.permissions`)} as permissions, ${ownRole(sql`o.field_rules`)} as "fieldRules"`

const keyOf = ({ tenantId, id }: UserKey): string => `${tenantId} ${id}`
