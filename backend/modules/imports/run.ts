import sql from 'sql-template-tag'
import { FileMissing, type Files } from '../../adapters/files/files.port.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { CustomFields } from '../../kernel/entity/custom.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { Work } from '../../kernel/jobs/job.ts'
import { workCtx } from '../../kernel/jobs/work-ctx.ts'
import type { Rights } from '../../kernel/rights.ts'
import { type AddLines, type ChunkDeps, writeEach, writeTogether } from './chunk.ts'
import { drafter } from './draft.ts'
import { createForeseen } from './foreseen.ts'
import { lockImport } from './import.queries.ts'
import type { ImportRow } from './import.ts'
import { nextLinks, resolveLinks } from './links.ts'
import { planOf } from './mapping.ts'
import { createNames } from './names.ts'
import { tellProgress } from './progress.ts'
import { openTable } from './recognise.ts'
import { Overtaken, type Run, step, Unable } from './step.ts'
import { type Survey, survey } from './survey.ts'
import { type Table, TableError, type TableRow } from './table.ts'
import { targetsOf } from './target.ts'
import { writerOf } from './writers.ts'

/** What imports are done with. */
export interface ImportDeps {
  readonly db: Database
  readonly files: Files
  readonly registry: Registry
  readonly customFields: CustomFields
  repository(type: string): Repository
  readonly addLines: AddLines
  /** What a user may do now; undefined when he is no longer there. */
  rightsOf(tenantId: string, userId: string): Promise<Rights | undefined>
}

const rowsACommit = 100
const linksACommit = 100

/** Does an import, or goes on with one where it stopped. Each chunk commits with how far it is, so none is done twice. */
export async function runImport(deps: ImportDeps, work: Work<{ importId: string }>): Promise<void> {
  const { db } = deps
  const { importId } = work.data
  const ctx = await importCtx(deps, work)
  try {
    if (!ctx) throw new Unable('Who asked for it is no longer an active user')
    const begun = await db.transaction(ctx, (tx) => begin(tx, importId))
    if (!begun) return
    await go(deps, ctx, begun, work)
  } catch (error) {
    if (error instanceof Overtaken) return
    const reason = reasonOf(error)
    if (reason === null) throw error
    await failImport(db, work, reason)
  }
}

/** Ends an import that could not be done. */
export async function failImport(db: Database, work: Work<{ importId: string }>, reason: string): Promise<void> {
  await db.transaction(teller(work), async (tx) => {
    const [row] = await tx.query(sql`
      update imports set status = 'failed', failure = ${reason}, completed_at = now(), updated_at = now()
      where tenant_id = ${work.tenantId} and id = ${work.data.importId} and status in ('queued', 'running') returning id`)
    if (row) await tellProgress(tx, work.data.importId, 'failed')
  })
}

function reasonOf(error: unknown): string | null {
  if (error instanceof Unable || error instanceof TableError) return error.message
  return error instanceof FileMissing ? 'The file is no longer there' : null
}

/** The user as an import: his rights as they are now, and the import's own operation. */
async function importCtx({ db, rightsOf }: ImportDeps, work: Work<{ importId: string }>): Promise<Ctx | null> {
  const [row] = await db.tenant(teller(work)).query(sql`
    select i.created_by_id as "userId", i.operation_id as "operationId", i.request_id as "requestId",
      coalesce(u.name, ${work.actor.name}) as name
    from imports i left join users u on u.tenant_id = i.tenant_id and u.id = i.created_by_id
    where i.tenant_id = ${work.tenantId} and i.id = ${work.data.importId}`)
  const rights = row && (await rightsOf(work.tenantId, row.userId))
  if (!rights) return null
  const { requestId, operationId, userId, name } = row
  return workCtx(work, { actor: { id: userId, type: 'import', name }, rights, requestId, operationId, lane: 'bulk' })
}

/** Who tells of an import's end: nobody, so that its user is told like any other. */
const teller = (work: Work<unknown>): Ctx => workCtx(work, { actor: { id: null, type: 'job', name: 'Import' } })

/** Null when it has ended already: the job was given twice. A dry run keeps nothing, so it begins anew. */
async function begin(tx: Tx, id: string): Promise<ImportRow | null> {
  const row = await lockImport(tx, id)
  if (!row || (row.status !== 'queued' && row.status !== 'running')) return null
  const anew = row.options.dryRun
  await tx.query(sql`
    update imports set status = 'running', updated_at = now() where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  if (!anew) return row
  await tx.query(sql`delete from import_errors where tenant_id = ${tx.ctx.tenantId} and import_id = ${id}`)
  await tx.query(sql`
    update imports set phase = 'rows', position = 0, processed = 0, created = 0, updated = 0, skipped = 0, failed = 0,
      made = '{}', preview = null where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  return { ...row, phase: 'rows', position: 0 }
}

async function go(deps: ImportDeps, ctx: Ctx, row: ImportRow, work: Work<{ importId: string }>): Promise<void> {
  const { db, rightsOf } = deps
  const { id, file, phase, position, effects, options } = row
  if (!file) throw new FileMissing('purged')
  const table = await openTable(() => deps.files.get(file.key), row.reading)
  const { chunk, surveyed, timezone } = await prepare(deps, ctx, row, table, work.signal)
  const [now, { signal }, { dryRun }] = [performance.now(), work, options]
  const place = { phase, position, effects }
  const memory = { made: new Set<string>(), foreseen: chunk.foreseen }
  const run: Run = { db, id, dryRun, signal, rightsOf, ctx, place, told: now, checked: now, ...memory }
  if (phase === 'rows') {
    const draft = drafter(chunk.plan, surveyed, table.columns.length, timezone)
    for await (const { rows, position } of chunksOf(table, place.position)) {
      await step(run, async (tx, how) => {
        const outcome = await (how === 'together' ? writeTogether : writeEach)(tx, chunk, rows.map(draft))
        return { outcome, position, processed: rows.length }
      })
    }
  }
  // What a dry run links to has been rolled back.
  if (!dryRun) await linkAll(run, chunk)
  await db.transaction(teller(work), (tx) => complete(tx, id))
}

async function prepare(
  deps: ImportDeps,
  ctx: Ctx,
  row: ImportRow,
  table: Table,
  signal: AbortSignal,
): Promise<{ chunk: ChunkDeps; surveyed: Survey; timezone: string }> {
  const { registry, customFields, repository, addLines } = deps
  const { options } = row
  const entity = registry.byPath(row.resource)
  if (!entity) throw new Unable(`There are no ${row.resource} any more`)
  if (ctx.rights.scope(entity.type, 'create') === 'none')
    throw new Unable(`Your role may no longer create a ${entity.type}`)
  const custom = entity.all.customFields ? await customFields.of(ctx, entity.type) : []
  const { plan } = planOf(entity, targetsOf(entity, registry, custom, ctx.rights), table.columns, {
    ...options,
    defaults: options.defaults ?? {},
    matchBy: options.matchBy ?? [],
  })
  const [tenant] = await deps.db.tenant(ctx).query(sql`select timezone, locale from tenants where id = ${ctx.tenantId}`)
  const { timezone = 'UTC', locale = 'en' } = tenant ?? {}
  const { dateOrder, decimal } = options
  const surveyed = row.reading.survey ?? (await survey(table, plan, { dateOrder, decimal, locale, signal }))
  await deps.db.tenant(ctx).query(sql`
    update imports set total = ${surveyed.total}, reading = reading || ${JSON.stringify({ survey: surveyed })}::jsonb
    where tenant_id = ${ctx.tenantId} and id = ${row.id}`)
  const chunk: ChunkDeps = {
    db: deps.db,
    plan,
    onDuplicate: options.onDuplicate,
    writer: writerOf(repository(entity.type)),
    addLines,
    names: createNames(registry, !options.dryRun),
    createMissing: new Set(options.createMissing ?? []),
    repository,
    foreseen: options.dryRun ? createForeseen(plan) : null,
  }
  return { chunk, surveyed, timezone }
}

/** Rows in chunks, after those that are done. */
async function* chunksOf(table: Table, done: number): AsyncIterable<{ rows: TableRow[]; position: number }> {
  let position = 0
  let rows: TableRow[] = []
  for await (const row of table.rows()) {
    if (++position <= done) continue
    rows.push(row)
    if (rows.length < rowsACommit) continue
    yield { rows, position }
    rows = []
  }
  if (rows.length > 0) yield { rows, position }
}

async function linkAll(run: Run, chunk: ChunkDeps): Promise<void> {
  const links = { ...chunk, type: chunk.plan.entity.type }
  if (run.place.phase === 'rows') {
    await run.db.tenant(run.ctx).query(sql`
      update imports set phase = 'links', position = 0
      where tenant_id = ${run.ctx.tenantId} and id = ${run.id} and status = 'running' and phase = 'rows'`)
    run.place = { ...run.place, phase: 'links', position: 0 }
  }
  for (let more = true; more; ) {
    await step(run, async (tx) => {
      const { position } = run.place
      const next = await nextLinks(tx, run.id, position, linksACommit)
      more = next.length > 0
      return { outcome: await resolveLinks(tx, links, next), position: next.at(-1)?.line ?? position, processed: 0 }
    })
  }
}

async function complete(tx: Tx, id: string): Promise<void> {
  const [row] = await tx.query(sql`
    update imports set status = 'completed', completed_at = now(), updated_at = now()
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and status = 'running' returning id`)
  if (row) await tellProgress(tx, id, 'completed')
}
