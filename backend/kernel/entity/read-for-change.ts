import type { Row, Tx } from '../db/database.ts'
import { type Binder, fill, plan } from '../db/plan.ts'
import { notFound } from '../errors.ts'
import { refusal } from './change.ts'
import type { Entity } from './define.ts'
import { scopeSql, scopeUsers } from './scope.ts'

/**
 * What a verb asks of a live record before it changes it, as SQL over `r`: a verb that is refused for what the record is
 * would tell it to who may not read it. Throws 404 where the caller does not see the record, 403 where he may not change it.
 */
export async function readForChange<T extends Row>(
  tx: Tx,
  entity: Entity,
  id: string,
  columns: (bind: Binder) => string,
): Promise<T> {
  const { ctx } = tx
  const [sight, scope] = [ctx.rights.scope(entity.type, 'read'), ctx.rights.scope(entity.type, 'update')]
  const made = plan(
    (bind) => `
      select ${scopeSql(entity, scope, 'r', bind, 'holders')} as allowed, ${columns(bind)} from ${entity.table} r
      where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is null
        and ${scopeSql(entity, sight, 'r', bind, 'seers')}`,
  )
  const [row] = await tx.query<T & { allowed: boolean }>(
    fill(made, { tenant: ctx.tenantId, id, holders: scopeUsers(scope), seers: scopeUsers(sight) }),
  )
  if (!row) throw notFound()
  if (!row.allowed) throw refusal(tx, entity, { scope })
  return row
}
