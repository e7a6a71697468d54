import type { FieldRules } from '../rights.ts'
import { hiddenOfName, nameSql } from './called.ts'
import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'

/**
 * SQL that prints a record of alias `r` as `json` or `jsonb`, whole or only some members: then under the name by which
 * somebody with these rules sees it, as what that is made of may not be among them.
 */
export function documentSql(
  entity: Entity,
  format: 'json' | 'jsonb',
  members?: readonly string[],
  rules?: FieldRules,
): string {
  const parts = (members ?? Object.keys(entity.all)).map((name) => {
    const field = entity.all[name]
    if (!field) throw new Error(`${entity.type} has no member ${name}`)
    if (members && name === 'name' && hiddenOfName(entity, rules).length > 0) return `'name', ${nameSql(entity, rules)}`
    return `'${name}', ${field.kind === 'customFields' ? shownFieldsSql(entity, name, field) : memberSql(name, field)}`
  })
  return `${format}_build_object(${parts.join(', ')})`
}

/** SQL that prints one member of alias `r` as a JSON value. */
export function memberSql(name: string, field: Field): string {
  if (field.expression) return field.expression
  const column = `r.${columnOf(name, field)}`
  return field.print ? field.print(column) : column
}

/**
 * SQL for the keys of the custom fields that are in use. It asks for the tenant of the statement and not of a row, so that
 * it is looked up once a statement, and only when there is a record with custom values.
 */
export const usedKeysSql = ({ type }: Entity): string =>
  `array(select f.key from custom_fields f
    where f.tenant_id = current_tenant() and f.resource = '${type}' and f.active and f.deleted_at is null)`

/** The values of fields that are out of use stay in the row, unseen. Across tenants, where no list is known, all are seen. */
function shownFieldsSql(entity: Entity, name: string, field: Field): string {
  const column = memberSql(name, field)
  return `case when ${column} = '{}' or current_tenant() is null then ${column} else coalesce((
    select jsonb_object_agg(e.key, e.value) from jsonb_each(${column}) e where e.key = any(${usedKeysSql(entity)})), '{}') end`
}
