import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'

/** A record as the API shows it. */
export type LiveRecord = Readonly<Record<string, unknown>>

/** Records of a type as they are now, by id; those that are deleted or not for the caller are missing. */
export async function readRecords(tx: Tx, entity: Entity, ids: readonly string[]): Promise<Map<string, LiveRecord>> {
  if (ids.length === 0) return new Map()
  const scope = tx.ctx.rights.scope(entity.type, 'read')
  const plan = plans(
    `${entity.type} ${scopeShape(scope)}`,
    (bind) => `
    select r.id, ${documentSql(entity, 'json')} as record from ${entity.table} r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')}) and r.deleted_at is null
      and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
  )
  const values = { tenant: tx.ctx.tenantId, ids, holders: scopeUsers(scope) }
  const rows = await tx.query<{ id: string; record: LiveRecord }>(fill(plan, values))
  return new Map(rows.map(({ id, record }) => [id, record]))
}

const plans = planCache(100)
