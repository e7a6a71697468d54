import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'

/** A table outside of the engine whose rows hang on records of any noun, one line each. */
const tables = [{ table: 'comments', type: 'entity_type', record: 'entity_id' }] as const

/** Rows that hung on merged records: `[key, the record]`. */
export interface Hanging {
  readonly table: string
  readonly rows: readonly (readonly [key: string, recordId: string])[]
}

/** Moves to a survivor what hangs on others, and gives what it was. */
export async function moveHanging(
  tx: Tx,
  type: string,
  merged: readonly string[],
  survivorId: string,
): Promise<Hanging[]> {
  const moved: Hanging[] = []
  for (const { table, ...columns } of tables) {
    const [ofType, record] = [raw(columns.type), raw(columns.record)]
    const rows = await tx.query<{ id: string; record: string }>(sql`
      with old as materialized (
        select h.id, h.${record} as record from ${raw(table)} h
        where h.tenant_id = ${tx.ctx.tenantId} and h.${ofType} = ${type} and h.${record} = any(${merged}::uuid[]) for update
      ), moved as (
        update ${raw(table)} h set ${record} = ${survivorId} from old o where h.tenant_id = ${tx.ctx.tenantId} and h.id = o.id
      ) select id, record from old`)
    if (rows.length > 0) moved.push({ table, rows: rows.map((row) => [row.id, row.record]) })
  }
  return moved
}

/** Hangs on records again what was theirs and still hangs on the survivor. */
export async function returnHanging(
  tx: Tx,
  hanging: readonly Hanging[],
  ids: readonly string[],
  survivorId: string,
): Promise<void> {
  for (const { table, rows } of hanging) {
    const known = tables.find((one) => one.table === table)
    const theirs = rows.filter(([, recordId]) => ids.includes(recordId))
    if (!known || theirs.length === 0) continue
    await tx.query(sql`
      update ${raw(table)} h set ${raw(known.record)} = w.record
      from unnest(${theirs.map(([key]) => key)}::uuid[], ${theirs.map(([, record]) => record)}::uuid[]) w(id, record)
      where h.tenant_id = ${tx.ctx.tenantId} and h.id = w.id and h.${raw(known.record)} = ${survivorId}`)
  }
}
