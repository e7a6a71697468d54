import sql from 'sql-template-tag'
import type { Files } from '../../adapters/files/files.port.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { CustomFields } from '../../kernel/entity/custom.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { maskRecord } from '../../kernel/entity/field-rules.ts'
import type { Lister } from '../../kernel/entity/lister.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { asProblem } from '../../kernel/http/problem.ts'
import type { Work } from '../../kernel/jobs/job.ts'
import { workCtx } from '../../kernel/jobs/work-ctx.ts'
import type { Rights } from '../../kernel/rights.ts'
import { type Column, chosenColumns, columnsOf } from './columns.ts'
import { readExport } from './export.queries.ts'
import { type ExportRow, searchOf } from './export.ts'
import { formats, type Pages } from './formats.ts'
import { SheetError } from './xlsx.ts'

/** What exports are made with. */
export interface ExportDeps {
  readonly db: Database
  readonly files: Files
  readonly registry: Registry
  readonly customFields: CustomFields
  /** The nouns whose records may go out as a table. */
  readonly exportable: ReadonlySet<string>
  /** The list of a noun, as its route gives it. */
  list(type: string): Lister
  /** What a user may do now; undefined when he is no longer there. */
  rightsOf(tenantId: string, userId: string): Promise<Rights | undefined>
}

type ExportWork = Work<{ exportId: string }>

const pageSize = 200
const millisecondsOfProgress = 1_000

/** Writes what the user may read now into a file, page by page. Repeated, it begins anew. */
export async function runExport(deps: ExportDeps, work: ExportWork): Promise<void> {
  const { db, files, registry } = deps
  const row = await readExport(db.tenant(teller(work)), work.data.exportId)
  if (!row || row.status === 'completed' || row.status === 'failed') return
  const rights = await deps.rightsOf(work.tenantId, row.createdById)
  const entity = registry.byPath(row.resource)
  if (!rights || !entity) return failExport(db, work, 'Who asked for it is no longer an active user')
  const ctx = workCtx(work, { actor: { ...work.actor, id: row.createdById }, rights })
  try {
    const columns = await columnsFor(deps, ctx, entity, row.options.columns)
    const { contentType, write } = formats[row.format]
    const counted = { processed: 0 }
    const pages = pagesOf(deps, ctx, entity, row, columns, work, counted)
    const key = `exports/${work.tenantId}/${row.id}.${row.format}`
    const { size } = await files.put(key, write(pages, columns, row.options.columns !== undefined), contentType)
    const file = { key, size, name: `${row.resource}-${new Date().toISOString().slice(0, 10)}.${row.format}` }
    await db.transaction(teller(work), (tx) => complete(tx, row, file, counted.processed))
  } catch (error) {
    const reason = error instanceof SheetError ? error.message : refusalOf(error)
    if (reason === null) throw error
    await failExport(db, work, reason)
  }
}

/** Ends an export that could not be made. */
export async function failExport(db: Database, work: ExportWork, reason: string): Promise<void> {
  await db.transaction(teller(work), async (tx) => {
    const [row] = await tx.query(sql`
      update exports set status = 'failed', failure = ${reason}, completed_at = now(), updated_at = now()
      where tenant_id = ${work.tenantId} and id = ${work.data.exportId} and status in ('queued', 'running')
      returning resource, format, created_by_id as "createdById"`)
    if (row) await tell(tx, 'failed', work.data.exportId, { ...row, failure: reason })
  })
}

/** The columns of an export of a noun for a caller; 400 names what is none. */
export async function columnsFor(
  { customFields }: Pick<ExportDeps, 'customFields'>,
  ctx: Ctx,
  entity: Entity,
  names: readonly string[] | undefined,
): Promise<readonly Column[]> {
  const keys = (names ?? []).flatMap((name) => (name.startsWith('cf.') ? [name.slice(3)] : []))
  const custom = entity.all.customFields ? await customFields.of(ctx, entity.type, keys) : []
  return chosenColumns(columnsOf(entity, custom, ctx.rights.fields), names)
}

/** A request that was well-formed when it came may be none any more: a custom field that it filters by has gone. */
function refusalOf(error: unknown): string | null {
  const problem = asProblem(error)
  if (!problem || problem.status >= 500) return null
  return problem.errors?.map(({ path, message }) => `${path} ${message}`).join('; ') ?? problem.message
}

interface Listed {
  readonly data: Record<string, unknown>[]
  readonly page: { readonly nextCursor: string | null; readonly total?: number; readonly totalIsLowerBound?: true }
}

async function* pagesOf(
  { db, registry, list }: ExportDeps,
  ctx: Ctx,
  entity: Entity,
  row: ExportRow,
  columns: readonly Column[],
  work: ExportWork,
  counted: { processed: number },
): Pages {
  const read = list(entity.type)
  const search = searchOf(row.options)
  const includes = [...new Set(columns.flatMap(({ include }) => include ?? []))]
  search.set('limit', String(pageSize))
  if (includes.length > 0) search.set('include', includes.join(','))
  search.set('count', 'exact')
  let told = performance.now()
  for (let first = true; ; first = false) {
    work.signal.throwIfAborted()
    const { data, page }: Listed = JSON.parse(await read(db.tenant(ctx), search))
    counted.processed += data.length
    const total = page.totalIsLowerBound ? null : page.total
    if (first) await keepProgress(db.tenant(ctx), row.id, 0, total ?? null)
    yield ctx.rights.fields ? data.map((record) => maskRecord(registry, entity, ctx.rights, record)) : data
    if (page.nextCursor === null) return
    search.set('cursor', page.nextCursor)
    search.delete('count')
    if (performance.now() - told < millisecondsOfProgress) continue
    told = performance.now()
    await keepProgress(db.tenant(ctx), row.id, counted.processed, null)
  }
}

const keepProgress = (tx: Tx, id: string, processed: number, total: number | null) =>
  tx.query(sql`
    update exports set status = 'running', processed = ${processed}, total = coalesce(${total}::integer, total), updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and status in ('queued', 'running')`)

async function complete(
  tx: Tx,
  { id, resource, format, createdById }: ExportRow,
  file: NonNullable<ExportRow['file']>,
  processed: number,
): Promise<void> {
  const [row] = await tx.query(sql`
    update exports set status = 'completed', processed = ${processed}, total = ${processed}, file = ${JSON.stringify(file)},
      completed_at = now(), updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and status in ('queued', 'running') returning id`)
  if (row) await tell(tx, 'completed', id, { resource, format, createdById, processed })
}

const tell = (tx: Tx, verb: string, id: string, record: Readonly<Record<string, unknown>>): Promise<void> =>
  appendEvents(tx, [
    { name: `export.${verb}`, type: 'export', recordId: id, record, data: { userId: record.createdById } },
  ])

/** Who tells of an export's end: nobody, so that its user is told like any other. */
const teller = (work: Work<unknown>): Ctx => workCtx(work, { actor: { id: null, type: 'job', name: 'Export' } })
