import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { type Item, lookup } from './lookup.entity.ts'

/** A pick list as it is kept. */
export interface List {
  readonly id: string
  readonly list: string
  readonly label: string
  readonly restricted: boolean
  readonly items: readonly Item[]
  readonly version: number
}

/** All lists of the tenant by name. */
export async function readLists(tx: Tx): Promise<List[]> {
  const made = plan(
    (bind) => `
    select ${documentSql(lookup, 'json')} as doc from lookups r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.deleted_at is null order by r.list`,
  )
  const rows = await tx.query<{ doc: List }>(fill(made, { tenant: tx.ctx.tenantId }))
  return rows.map(({ doc }) => inOrder(doc))
}

/** One list; to change it, who comes at the same time waits. */
export async function findList(tx: Tx, list: string, lock: 'to read' | 'to change'): Promise<List | undefined> {
  const made = plan(
    (bind) => `
    select ${documentSql(lookup, 'json')} as doc from lookups r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.list = ${bind('list', 'text')} and r.deleted_at is null
    ${lock === 'to change' ? 'for update of r' : ''}`,
  )
  const [row] = await tx.query<{ doc: List }>(fill(made, { tenant: tx.ctx.tenantId, list }))
  return row && inOrder(row.doc)
}

/** Until whoever makes a list of this tenant has committed it; then nobody else makes one before us. */
export const waitForNewLists = (tx: Tx) =>
  tx.query(sql`select pg_advisory_xact_lock(hashtextextended(${`clientforge.lookups ${tx.ctx.tenantId}`}, 0))`)

/** How many lists there are. */
export async function countLists(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ count: number }>(sql`
    select count(*)::integer as count from lookups where tenant_id = ${tx.ctx.tenantId} and deleted_at is null`)
  return row?.count ?? 0
}

/** A member of records that takes its values from a list. */
export interface Holder {
  readonly entity: Entity
  readonly member: string
  readonly column: string
}

/** The members that take their values from a list. */
export const holdersOf = (entities: ReadonlyMap<string, Entity>, list: string): Holder[] =>
  [...entities.values()].flatMap((entity) =>
    Object.entries(entity.all).flatMap(([member, field]) =>
      field.pickList === list ? [{ entity, member, column: columnOf(member, field) }] : [],
    ),
  )

/** Records that hold a value, at most so many. What is archived stands in other indexes, and one index knows short texts only. */
export async function findHolding(tx: Tx, { entity, column }: Holder, value: string, most: number): Promise<string[]> {
  const made = plan(
    (bind) => `
    select r.id from (${['is null', 'is not null']
      .map(
        (archived) => `
      (select r.id from ${entity.table} r where r.tenant_id = ${bind('tenant', 'uuid')} and r.${column} = ${bind('value', 'text')}
         and length(r.${column}) <= 100 and r.deleted_at is null and r.archived_at ${archived} limit ${bind('most', 'integer')})`,
      )
      .join(' union all ')}) r limit ${bind('most', 'integer')}`,
  )
  const rows = await tx.query<{ id: string }>(fill(made, { tenant: tx.ctx.tenantId, value, most }))
  return rows.map(({ id }) => id)
}

const inOrder = (list: List): List => ({
  ...list,
  items: list.items.toSorted((a, b) => a.order - b.order || a.label.localeCompare(b.label) || a.id.localeCompare(b.id)),
})
