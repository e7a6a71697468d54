import sql, { empty, raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import type { Stored } from '../../kernel/entity/repository.ts'
import { view } from './view.entity.ts'

/** A view as it is kept. */
export interface View {
  readonly id: string
  readonly name: string
  readonly resource: string
  readonly filters: Readonly<Record<string, unknown>>
  readonly sort: string | null
  readonly columns: readonly string[]
  readonly shared: 'private' | 'shared'
  readonly isDefault: boolean
  readonly ownerId: string | null
  readonly version: number
}

/** Where a page of views ended. */
export interface Place {
  readonly name: string
  readonly id: string
}

const printed = raw(documentSql(view, 'json'))

/** The caller's own views and those that are shared, by name, after a place. */
export async function listViews(
  tx: Tx,
  narrowed: { resource?: string | undefined; shared?: string | undefined },
  after: Place | null,
  limit: number,
): Promise<View[]> {
  const branch = (whose: ReturnType<typeof sql>) => sql`
    (select * from views r where r.tenant_id = ${tx.ctx.tenantId} and r.deleted_at is null and ${whose}
       ${narrowed.resource === undefined ? empty : sql`and r.resource = ${narrowed.resource}`}
       ${after === null ? empty : sql`and (r.name, r.id) > (${after.name}::text collate "und-x-icu", ${after.id}::uuid)`}
     order by r.name, r.id limit ${limit})`
  const own = branch(sql`r.shared = 'private' and r.owner_id = ${tx.ctx.rights.userId}`)
  const shared = branch(sql`r.shared = 'shared'`)
  const rows = await tx.query<{ doc: View }>(sql`
    select ${printed} as doc from (
      ${narrowed.shared === 'shared' ? shared : narrowed.shared === 'private' ? own : sql`${own} union all ${shared}`}) r
    order by r.name, r.id limit ${limit}`)
  return rows.map(({ doc }) => doc)
}

/** A view that the caller may see: his own, or a shared one. */
export async function findView(tx: Tx, id: string): Promise<Stored | undefined> {
  const [row] = await tx.query<{ version: number; json: string }>(sql`
    select r.version, ${printed}::text as json from views r
    where r.tenant_id = ${tx.ctx.tenantId} and r.id = ${id} and r.deleted_at is null
      and (r.shared = 'shared' or r.owner_id = ${tx.ctx.rights.userId})`)
  return row && { id, ...row }
}

/** Which view is the default where this one would be: among the owner's private ones, or the shared ones. */
export async function findDefault(tx: Tx, { resource, shared, ownerId }: View): Promise<string | null> {
  const [row] = await tx.query<{ id: string }>(sql`
    select id from views where tenant_id = ${tx.ctx.tenantId} and resource = ${resource} and shared = ${shared} and is_default
      and deleted_at is null and (shared = 'shared' or owner_id = ${ownerId})`)
  return row?.id ?? null
}

/** How many views the caller has that are shared, or private. */
export async function countViews(tx: Tx, shared: string): Promise<number> {
  const whose =
    shared === 'shared' ? sql`shared = 'shared'` : sql`shared = 'private' and owner_id = ${tx.ctx.rights.userId}`
  const [row] = await tx.query<{ count: number }>(sql`
    select count(*)::integer as count from views where tenant_id = ${tx.ctx.tenantId} and deleted_at is null and ${whose}`)
  return row?.count ?? 0
}
