import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { scopeShape, scopeSql, scopeUsers, sharesOf } from '../../kernel/entity/scope.ts'
import type { Share } from '../../kernel/rights.ts'

/** A record as it is now and as the API shows it, with the record that its subtitle is the title of. */
export interface LiveRecord {
  readonly id: string
  readonly record: Values
  readonly target: Values | null
  readonly shares: readonly Share[] | null
}

/**
 * Records of a type as they are now, and with each the one that its member for the subtitle points at. What is deleted or
 * not for the caller is missing.
 */
export async function readRecords(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  entity: Entity,
  ids: readonly string[],
): Promise<LiveRecord[]> {
  if (ids.length === 0) return []
  const { rights, tenantId } = tx.ctx
  const scope = rights.scope(entity.type, 'read')
  const pointer = entity.subtitle === undefined ? undefined : entity.all[entity.subtitle]
  const target = pointer?.ref === undefined ? undefined : entities.get(pointer.ref)
  const targetScope = target ? rights.scope(target.type, 'read') : 'none'
  const plan = plans(`${entity.type} ${scopeShape(scope)} ${scopeShape(targetScope)}`, (bind) => {
    const tenant = bind('tenant', 'uuid')
    const column = pointer && target ? `r.${columnOf(entity.subtitle ?? '', pointer)}` : 'null::uuid'
    const targetSql = target
      ? `(select ${documentSql(target, 'json')} from ${target.table} r
          where r.tenant_id = ${tenant} and r.id = p.target_id and r.deleted_at is null
            and ${scopeSql(target, targetScope, 'r', bind, 'targetHolders')})`
      : 'null::json'
    return `
      select p.id, p.record, p.shares, ${targetSql} as target from (
        select r.id, ${sharesOf(entity, 'r')} as shares, ${documentSql(entity, 'json')} as record, ${column} as target_id from ${entity.table} r
        where r.tenant_id = ${tenant} and r.id = any(${bind('ids', 'uuid[]')}) and r.deleted_at is null
          and ${scopeSql(entity, scope, 'r', bind, 'holders')}) p`
  })
  const holders = { holders: scopeUsers(scope), targetHolders: scopeUsers(targetScope) }
  return tx.query<LiveRecord>(fill(plan, { tenant: tenantId, ids, ...holders }))
}

const plans = planCache(100)
