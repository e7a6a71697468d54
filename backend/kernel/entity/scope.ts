import type { Binder } from '../db/plan.ts'
import type { Belonging, Scope } from '../rights.ts'
import { columnOf, type Entity } from './define.ts'

/** SQL over an alias: whether a scope reaches the row. `all` costs nothing; otherwise `holders` is a parameter. */
export function scopeSql(entity: Entity, scope: Scope, alias: string, bind: Binder, parameter: string): string {
  if (scope === 'all') return 'true'
  if (scope === 'none') return 'false'
  const users = bind(parameter, 'uuid[]')
  const single: string[] = []
  const several: string[] = []
  for (const name of entity.heldBy ?? []) {
    const field = entity.all[name]
    if (field) (field.many ? several : single).push(`${alias}.${columnOf(name, field)}`)
  }
  const held = [
    ...single.map((column) => `${column} = any(${users})`),
    ...several.map((column) => `${column} && ${users}`),
  ]
  const unheld = [...single.map((column) => `${column} is null`), ...several.map((column) => `${column} = '{}'`)]
  return `(${[...held, `(${[...unheld, `${alias}.created_by_id = any(${users})`].join(' and ')})`].join(' or ')})`
}

/** What is a part of a plan's shape: the kind of scope, not its ids. */
export const scopeShape = (scope: Scope): string => (typeof scope === 'string' ? scope : 'users')

/** The parameter that goes with {@link scopeSql}. */
export const scopeUsers = (scope: Scope): readonly string[] => (typeof scope === 'string' ? [] : scope.userIds)

/** Whose a record is, from the record as the API shows it. */
export function belongingOf(entity: Entity, record: Readonly<Record<string, unknown>>): Belonging {
  const ownerIds = (entity.heldBy ?? []).flatMap((member) => record[member]).filter((id) => typeof id === 'string')
  return { ownerIds, createdById: typeof record.createdById === 'string' ? record.createdById : null }
}
