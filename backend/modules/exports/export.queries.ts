import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx, WorkerTx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { ExportRow } from './export.ts'

/** An export as it is shown, but for its link. */
export interface ShownExport {
  readonly record: Readonly<Record<string, unknown>>
  readonly format: ExportRow['format']
  readonly file: ExportRow['file']
  readonly createdAt: string
  readonly id: string
}

/** An export of the caller's own; for administrators, of anybody. */
export async function findExport(tx: Tx, id: string): Promise<ShownExport | null> {
  const [row] = await tx.query<ShownExport>(sql`
    select ${columns} from exports e where e.tenant_id = ${tx.ctx.tenantId} and e.id = ${id} ${visible(tx)}`)
  return row ?? null
}

/** The caller's own exports, newest first, after a place. */
export function listExports(
  tx: Tx,
  after: { createdAt: string; id: string } | null,
  limit: number,
): Promise<ShownExport[]> {
  return tx.query<ShownExport>(sql`
    select ${columns} from exports e where e.tenant_id = ${tx.ctx.tenantId} and e.created_by_id = ${tx.ctx.actor.id}
      ${after ? sql`and (e.created_at, e.id) < (${after.createdAt}::timestamptz, ${after.id}::uuid)` : empty}
    order by e.created_at desc, e.id desc limit ${limit}`)
}

/** An export as its job needs it. */
export async function readExport(tx: Tx, id: string): Promise<ExportRow | null> {
  const [row] = await tx.query<ExportRow>(sql`
    select id, status, resource, format, options, file, created_by_id as "createdById" from exports
    where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  return row ?? null
}

/** Which of these files are of an export, also of one that is still being made. */
export async function exportFilesAmong(db: WorkerTx, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db.query<{ key: string }>(sql`
    select k.key from exports e cross join lateral (select ${fileKey}) k(key) where k.key = any(${keys})`)
  return new Set(rows.map(({ key }) => key))
}

const fileKey = sql`'exports/' || e.tenant_id || '/' || e.id || '.' || e.format`

const visible = (tx: Tx): Sql =>
  tx.ctx.rights.scope('user', 'update') === 'all' ? empty : sql`and e.created_by_id = ${tx.ctx.actor.id}`

const columns = sql`e.id, ${raw(timeSql('e.created_at'))} as "createdAt", e.format, e.file, json_build_object(
  'id', e.id, 'status', e.status, 'resource', e.resource, 'format', e.format, 'filters', e.options -> 'filters',
  'sort', e.options -> 'sort', 'columns', e.options -> 'columns', 'total', e.total, 'processed', e.processed,
  'size', e.file -> 'size', 'failure', e.failure, 'createdById', e.created_by_id, 'createdAt', ${raw(timeSql('e.created_at'))},
  'updatedAt', ${raw(timeSql('e.updated_at'))}, 'completedAt', ${raw(timeSql('e.completed_at'))}) as record`
