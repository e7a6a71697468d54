import type { Binder } from '../db/plan.ts'
import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'

/** A member by which records of a noun refer to those of another. */
export interface Referring {
  readonly entity: Entity
  readonly member: string
  readonly field: Field
}

/** The members of all nouns that refer to records of a type. */
export const referencesTo = (entities: ReadonlyMap<string, Entity>, type: string): Referring[] =>
  [...entities.values()].flatMap((entity) =>
    Object.entries(entity.all)
      .filter(([, field]) => field.ref === type || field.refs?.includes(type))
      .map(([member, field]) => ({ entity, member, field })),
  )

/** SQL: whether a live record of alias `x` refers by this member to the record of an id, which may be one of a row. */
export function refersSql({ entity, member, field }: Referring, id: string, such: string, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  if (field.side === 'links')
    return `exists (select from record_links l join ${entity.table} x
        on x.tenant_id = l.tenant_id and x.id = l.record_id and x.deleted_at is null
      where l.tenant_id = ${tenant} and l.record_type = '${entity.type}' and l.member = '${member}' and l.target_id = ${id} and ${such})`
  // Archived ones stand in an index of their own.
  const among = (archived: string) => `
    exists (select from ${entity.table} x where x.tenant_id = ${tenant} and x.${columnOf(member, field)} = ${id}
      and x.deleted_at is null and x.archived_at is ${archived} and ${such})`
  return `(${among('null')} or ${among('not null')})`
}
