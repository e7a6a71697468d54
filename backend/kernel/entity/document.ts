import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'

/** SQL that prints a record of alias `r` as `json` or `jsonb`, whole or only some members. */
export function documentSql(entity: Entity, format: 'json' | 'jsonb', members?: readonly string[]): string {
  const parts = (members ?? Object.keys(entity.all)).map((name) => {
    const field = entity.all[name]
    if (!field) throw new Error(`${entity.type} has no member ${name}`)
    return `'${name}', ${memberSql(name, field)}`
  })
  return `${format}_build_object(${parts.join(', ')})`
}

/** SQL that prints one member of alias `r` as a JSON value. */
export function memberSql(name: string, field: Field): string {
  if (field.expression) return field.expression
  const column = `r.${columnOf(name, field)}`
  return field.print ? field.print(column) : column
}
