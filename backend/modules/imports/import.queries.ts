import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx, WorkerTx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { ImportRow } from './import.ts'

/** An import as the API shows it, as JSON text; of others' imports only for who may see all. */
export async function printImport(tx: Tx, id: string): Promise<string | null> {
  const [row] = await tx.query<{ json: string }>(sql`
    select ${printed}::text as json from imports i where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${id} ${visible(tx)}`)
  return row?.json ?? null
}

/** Where a page of imports ended. */
export interface Place {
  readonly createdAt: string
  readonly id: string
}

/** Imports, newest first, after a place. */
export function listImports(
  tx: Tx,
  filters: { resource?: string | undefined; status?: string | undefined },
  after: Place | null,
  limit: number,
): Promise<(Place & { json: string })[]> {
  const { resource, status } = filters
  return tx.query(sql`
    select ${printed}::text as json, ${raw(timeSql('i.created_at'))} as "createdAt", i.id from imports i
    where i.tenant_id = ${tx.ctx.tenantId} ${visible(tx)}
      ${resource === undefined ? empty : sql`and i.resource = ${resource}`}
      ${status === undefined ? empty : sql`and ${shownStatus} = ${status}`}
      ${after ? sql`and (i.created_at, i.id) < (${after.createdAt}::timestamptz, ${after.id}::uuid)` : empty}
    order by i.created_at desc, i.id desc limit ${limit}`)
}

/** An import as its work needs it; locked, so that one runner at a time goes on with it. */
export async function lockImport(tx: Tx, id: string): Promise<ImportRow | null> {
  const [row] = await tx.query<ImportRow>(sql`
    select ${columns} from imports i where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${id} for update`)
  return row ?? null
}

/** The same of an import that the caller may see, without a lock. */
export async function findImport(tx: Tx, id: string): Promise<ImportRow | null> {
  const [row] = await tx.query<ImportRow>(sql`
    select ${columns} from imports i where i.tenant_id = ${tx.ctx.tenantId} and i.id = ${id} ${visible(tx)}`)
  return row ?? null
}

/** Errors of an import after a place, in the order of their lines. */
export function listErrors(
  tx: Tx,
  id: string,
  after: { line: number; place: number },
  limit: number,
): Promise<{ line: number; place: number; column: string; value: string; reason: string }[]> {
  return tx.query(sql`
    select e.line, e.place, e.column_name as "column", e.value, e.reason from import_errors e
    where e.tenant_id = ${tx.ctx.tenantId} and e.import_id = ${id} and (e.line, e.place) > (${after.line}, ${after.place})
    order by e.line, e.place limit ${limit}`)
}

const visible = (tx: Tx): Sql =>
  tx.ctx.rights.scope('user', 'update') === 'all' ? empty : sql`and i.created_by_id = ${tx.ctx.actor.id}`

const columns = sql`i.id, i.status, i.resource, i.options, i.reading, i.file, i.phase, i.position, i.effects, i.total,
  i.created_by_id as "createdById", i.operation_id as "operationId", i.request_id as "requestId"`

/** An undoing that is under way is work that runs. */
const shownStatus = sql`case i.status when 'undoing' then 'running' else i.status end`

/** SQL that prints an import of alias `i`. */
export const printed: Sql = sql`(json_build_object(
  'id', i.id, 'status', ${shownStatus}, 'resource', i.resource, 'dryRun', i.options -> 'dryRun',
  'file', json_build_object('name', i.options ->> 'fileName', 'size', i.options -> 'fileSize', 'format', i.reading ->> 'format'),
  'options', i.options - 'mapping' - 'dryRun' - 'fileName' - 'fileSize',
  'reading', json_build_object('encoding', i.reading ->> 'encoding',
    'delimiter', case i.reading ->> 'format' when 'csv' then i.reading ->> 'delimiter' end,
    'columns', coalesce(i.reading -> 'survey' -> 'columns', '{}')),
  'mapping', i.options -> 'mapping', 'total', i.total, 'processed', i.processed, 'created', i.created,
  'updated', i.updated, 'skipped', i.skipped, 'failed', i.failed,
  'percent', case when i.status in ('completed', 'undone') then 100 when coalesce(i.total, 0) = 0 then 0
    else least(i.processed::bigint * 100 / i.total, 100) end,
  'made', i.made, 'preview', i.preview, 'failure', i.failure, 'undo', i.undo, 'operationId', i.operation_id,
  'createdById', i.created_by_id, 'createdAt', ${raw(timeSql('i.created_at'))}, 'updatedAt', ${raw(timeSql('i.updated_at'))},
  'completedAt', ${raw(timeSql('i.completed_at'))}))`

/** Which of these files an import has. */
export async function importFilesAmong(db: WorkerTx, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db.query<{ key: string }>(sql`
    select file ->> 'key' as key from imports where file is not null and file ->> 'key' = any(${keys})`)
  return new Set(rows.map(({ key }) => key))
}
