import type { Tx } from '../db/database.ts'
import { fill, planCache } from '../db/plan.ts'
import type { FieldRules } from '../rights.ts'
import { columnOf, type Entity, named } from './define.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'

type Values = Readonly<Record<string, unknown>>

/** The hidden members that the name of a noun's records is worked out from: who saw it could tell them. */
export const hiddenOfName = ({ nameFrom = [] }: Entity, rules: FieldRules | undefined): string[] =>
  rules ? nameFrom.flat().filter((member) => rules.hidden.has(member)) : []

/** What a record is called for somebody: by what he sees of it, else by what kind of record it is. */
export function titleFor(entity: Entity, rules: FieldRules | undefined, record: Values): string {
  if (hiddenOfName(entity, rules).length === 0) return entity.title(record)
  return entity.title({ ...record, name: nameOf(entity, rules, record) })
}

/**
 * The name of a whole record as somebody sees it; undefined when it stays as it is. One that was read in part without what
 * its name is made of was read with {@link nameSql}.
 */
export function nameFor(entity: Entity, rules: FieldRules | undefined, record: Values): string | undefined {
  if (hiddenOfName(entity, rules).length === 0) return undefined
  const isWhole = groupsOf(entity, rules)
    .flat()
    .every((member) => member in record)
  return isWhole ? nameOf(entity, rules, record) : undefined
}

function nameOf(entity: Entity, rules: FieldRules | undefined, record: Values): string {
  const names = groupsOf(entity, rules).map((members) =>
    members
      .flatMap((member) => record[member] ?? [])
      .join(' ')
      .trim(),
  )
  return names.find((name) => name !== '') ?? named(entity.type)
}

/** SQL for the name of the row of alias `r` as somebody sees it. */
export function nameSql(entity: Entity, rules: FieldRules | undefined): string {
  const names = groupsOf(entity, rules).map((members) => {
    const columns = members.flatMap((member) => {
      const field = entity.all[member]
      return field ? [`r.${columnOf(member, field)}`] : []
    })
    return `nullif(btrim(concat_ws(' ', ${columns.join(', ')})), '')`
  })
  return `coalesce(${[...names, `'${named(entity.type)}'`].join(', ')})`
}

const groupsOf = ({ nameFrom = [] }: Entity, rules: FieldRules | undefined): string[][] =>
  nameFrom
    .map((members) => members.filter((member) => !rules?.hidden.has(member)))
    .filter((members) => members.length > 0)

const plans = planCache(50)

/**
 * What records are called now for the caller, from whom a part of their names is hidden; of those that he may not read, or
 * that are gone for good, only what kind of record it is.
 */
export async function titlesFor(tx: Tx, entity: Entity, ids: readonly string[]): Promise<(id: string) => string> {
  const { rights, tenantId } = tx.ctx
  const rules = rights.fields?.(entity.type)
  const scope = rights.scope(entity.type, 'read')
  const plan = plans(
    `${entity.type} ${scopeShape(scope)} ${hiddenOfName(entity, rules).join(' ')}`,
    (bind) => `
    select r.id, ${nameSql(entity, rules)} as name from ${entity.table} r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')})
      and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
  )
  const rows = await tx.query<{ id: string; name: string }>(
    fill(plan, { tenant: tenantId, ids: [...new Set(ids)], holders: scopeUsers(scope) }),
  )
  const names = new Map(rows.map(({ id, name }) => [id, entity.title({ id, name })]))
  return (id) => names.get(id) ?? named(entity.type)
}
