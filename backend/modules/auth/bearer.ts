import sql from 'sql-template-tag'
import type { Database } from '../../kernel/db/database.ts'
import type { Authenticator } from '../../kernel/http/authenticator.ts'
import type { Caller } from '../../kernel/http/route.ts'
import type { Proved } from './auth.actions.ts'
import { ownFactor } from './second-factor.ts'

/** The account and second factor of who sends an access token with a public call; undefined when he sends none. 401 when it is not good. */
export async function provedByBearer(
  db: Database,
  authenticator: Authenticator,
  caller: Caller,
): Promise<Proved | undefined> {
  const [, token] = /^Bearer +([^\s]+) *$/i.exec(caller.header('Authorization') ?? '') ?? []
  if (token === undefined) return undefined
  const { ctx } = await authenticator.authenticate(token, caller)
  // Who acts in another's name, or with a key, is not he.
  if (ctx.actor.type !== 'user' || ctx.actor.operator !== undefined) return undefined
  const [user] = await db.tenant(ctx).query(sql`
    select u.account_id as id, credentials_version_of(u.account_id) as "credentialsVersion", ${ownFactor} as factor
    from users u join sessions s on s.tenant_id = u.tenant_id and s.id = ${ctx.sessionId} and s.ended_at is null
    where u.tenant_id = ${ctx.tenantId} and u.id = ${ctx.actor.id}`)
  if (!user) return undefined
  const { id, credentialsVersion, factor } = user
  return { account: { id, credentialsVersion }, factor, tell: async () => {} }
}
