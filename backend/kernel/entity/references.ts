import type { Binder } from '../db/plan.ts'
import { resolvedSql } from './aliases.ts'
import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'
import type { Registry, Target } from './registry.ts'

/**
 * SQL for `array[...]` of the members whose references do not resolve. What the record referred to before (alias `o`)
 * may be sent back although it has been deleted since. What has no foreign key is guarded by this alone.
 */
export function missingSql(
  entity: Entity,
  names: readonly string[],
  registry: Registry,
  bind: Binder,
  { withOld, withUsers }: { withOld: boolean; withUsers: boolean },
): string {
  const checks = names.flatMap((name) => {
    const field = entity.all[name]
    if (!field || !isReference(field)) return []
    return [`case when ${checkSql(name, field, registry, bind, withOld)} then null else '${name}' end`]
  })
  const missing = checks.length === 0 ? [] : [`array_remove(array[${checks.join(', ')}]::text[], null)`]
  if (withUsers) {
    const known = existsSql(registry.target('user'), 'want.id', bind)
    const wanted = `unnest(${bind('customUsers', 'uuid[]')}, ${bind('customUserKeys', 'text[]')}) as want(id, key)`
    missing.push(`array(select 'customFields.' || want.key from ${wanted} where not ${known})`)
  }
  return missing.length === 0 ? `'{}'::text[]` : missing.join(' || ')
}

const isReference = (field: Field): boolean => field.ref !== undefined || field.refs !== undefined

function checkSql(name: string, field: Field, registry: Registry, bind: Binder, withOld: boolean): string {
  const old = `o.${columnOf(name, field)}`
  const parameter = resolvedSql(field, bind(name, field.type), registry, bind)
  if (field.refs) {
    const types = field.refs.map((type) => `when '${type}' then ${existsSql(registry.target(type), 'want.id', bind)}`)
    const kept = withOld ? `${old} @> jsonb_build_array(jsonb_build_object('type', want.type, 'id', want.id)) or ` : ''
    return `not exists (select 1 from jsonb_to_recordset(${parameter}) as want(type text, id uuid)
      where not (${kept}case want.type ${types.join(' ')} else false end))`
  }
  const target = registry.target(field.ref ?? '')
  if (field.many) {
    const kept = withOld ? `want.id = any(${old}) or ` : ''
    return `not exists (select 1 from unnest(${parameter}) as want(id) where not (${kept}${existsSql(target, 'want.id', bind)}))`
  }
  const kept = withOld ? `${old} is not distinct from ${parameter} or ` : ''
  return `(${parameter} is null or ${kept}${existsSql(target, parameter, bind)})`
}

const existsSql = (target: Target, id: string, bind: Binder): string =>
  `exists (select 1 from ${target.table} x where x.tenant_id = ${bind('tenant', 'uuid')} and x.id = ${id} and ${target.live})`
