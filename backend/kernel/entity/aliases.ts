import type { Tx } from '../db/database.ts'
import { type Binder, fill, planCache } from '../db/plan.ts'
import type { Entity } from './define.ts'
import type { Field } from './fields.ts'
import type { Registry } from './registry.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'

/**
 * SQL for a reference as it is stored: the id of a record that was merged is that of the one it was merged into. Until the
 * transaction ends, nobody merges what it refers to.
 */
export function resolvedSql(field: Field, parameter: string, registry: Registry, bind: Binder): string {
  const tenant = () => bind('tenant', 'uuid')
  if (mergingTypes(field, registry).length === 0) return parameter
  if (field.refs) return `(select resolve_related(${tenant()}, ${parameter}))`
  // The select, because a function that may change from row to row would be called for each row that an id is compared with.
  return field.many
    ? `(select resolve_aliases(${tenant()}, '${field.ref}', ${parameter}))`
    : `(select resolve_alias(${tenant()}, '${field.ref}', ${parameter}))`
}

/** SQL for what a list is filtered by: the id of a merged record finds what refers to the one that it stands for. */
export function filteredSql(field: Field, type: string, parameter: string, registry: Registry, bind: Binder): string {
  const types = mergingTypes(field, registry)
  if (types.length === 0 || !type.startsWith('uuid')) return parameter
  const one = type === 'uuid'
  const current = `array(select coalesce(a.target_id, i.id) from unnest(${one ? `array[${parameter}]` : parameter}) i(id)
    left join record_aliases a on a.tenant_id = ${bind('tenant', 'uuid')}
      and a.record_type in (${types.map((name) => `'${name}'`).join(', ')}) and a.id = i.id)`
  return one ? `(${current})[1]` : current
}

const mergingTypes = (field: Field, registry: Registry): string[] =>
  [...(field.refs ?? []), ...(field.ref === undefined ? [] : [field.ref])].filter(
    (type) => registry.entities.get(type)?.sameness !== undefined,
  )

/** SQL: whether the row of an alias was merged into another, and is only kept to be given back. */
export const isMergedSql = (entity: Entity, alias: string, bind: Binder): string =>
  entity.sameness === undefined
    ? 'false'
    : `exists (select 1 from record_aliases l
        where l.tenant_id = ${bind('tenant', 'uuid')} and l.record_type = '${entity.type}' and l.id = ${alias}.id)`

const plans = planCache(50)

/** The record that an id of a merged one stands for; null when it is none, or the caller may not read it. */
export async function survivorOf(tx: Tx, entity: Entity, id: string): Promise<string | null> {
  if (entity.sameness === undefined) return null
  const scope = tx.ctx.rights.scope(entity.type, 'read')
  const plan = plans(
    `${entity.type} ${scopeShape(scope)}`,
    (bind) => `
      select r.id from record_aliases l
      join ${entity.table} r on r.tenant_id = ${bind('tenant', 'uuid')} and r.id = l.target_id and ${scopeSql(entity, scope, 'r', bind, 'holders')}
      where l.tenant_id = ${bind('tenant', 'uuid')} and l.record_type = '${entity.type}' and l.id = ${bind('id', 'uuid')}`,
  )
  const [row] = await tx.query<{ id: string }>(fill(plan, { tenant: tx.ctx.tenantId, id, holders: scopeUsers(scope) }))
  return row?.id ?? null
}
