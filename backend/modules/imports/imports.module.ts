import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import { frugally } from '../../kernel/frugal.ts'
import type { Job, Schedule, Work } from '../../kernel/jobs/job.ts'
import { workCtx } from '../../kernel/jobs/work-ctx.ts'
import type { Module } from '../../kernel/module.ts'
import type { RequestDeps } from './import.actions.ts'
import { importRoutes } from './import.routes.ts'
import { failImport, type ImportDeps, runImport } from './run.ts'
import { undoSome } from './undo.ts'

/** Tables become records, and go again when that was a mistake. */
export function importsModule(deps: ImportDeps & RequestDeps): Module {
  return {
    name: 'imports',
    routes: importRoutes(deps),
    jobs: [importJob(deps), undoJob(deps)],
    schedules: [purge(deps)],
  }
}

const data = z.object({ importId: z.guid() })

type ImportWork = Work<z.output<typeof data>>

/** An import can take hours; a process that dies meanwhile is no failure of the table. */
const patient = { queue: 'imports', attempts: 20, timeout: 6 * 3_600_000 } as const

const importJob = (deps: ImportDeps): Job<z.output<typeof data>> => ({
  name: 'import.run',
  ...patient,
  data,
  on: ['import.requested'],
  ask: ({ recordId }) => (recordId === null ? [] : [{ data: { importId: recordId } }]),
  run: (work) => frugally(() => runImport(deps, work)),
  gaveUp: (work) => failImport(deps.db, work, 'It could not be finished for a reason of ours; undo it and try again'),
})

const undoJob = (deps: ImportDeps): Job<z.output<typeof data>> => ({
  name: 'import.undo',
  ...patient,
  data,
  on: ['import.undo_requested'],
  // A small one is undone while its request waits, or here when that process died meanwhile.
  ask: ({ recordId }) => (recordId === null ? [] : [{ data: { importId: recordId } }]),
  run: async (work) => {
    const ctx = await undoCtx(deps, work)
    if (!ctx) return
    for (let more = true; more; more = await undoSome(deps, ctx, work.data.importId)) work.signal.throwIfAborted()
  },
})

/** Who asked for it, with what he may do now; null when he is no longer there. */
async function undoCtx({ rightsOf }: ImportDeps, work: ImportWork): Promise<Ctx | null> {
  const { tenantId, actor } = work
  const rights = await rightsOf(tenantId, actor.id ?? '')
  return rights ? workCtx(work, { actor, rights, lane: 'bulk' }) : null
}

const keepDays = 7
const atOnce = 500
const ripe = sql`file is not null and created_at < now() - make_interval(days => ${keepDays})
  and status not in ('queued', 'running', 'undoing')`

/** Files, errors and what undoing needs go after a week; how many records an import made stays. */
const purge = ({ db, files }: ImportDeps): Schedule => ({
  name: 'imports.purge',
  queue: 'cleanup',
  cron: '17 3 * * *',
  timeout: 1_800_000,
  run: async ({ dryRun, signal }) => {
    if (dryRun) {
      const [row] = await db.worker.query(sql`select count(*)::integer as imports from imports where ${ripe}`)
      return { imports: row?.imports ?? 0 }
    }
    let purged = 0
    for (;;) {
      signal.throwIfAborted()
      const old = await db.worker.query<{ tenantId: string; id: string; key: string }>(sql`
        select tenant_id as "tenantId", id, file ->> 'key' as key from imports
        where ${ripe} order by created_at limit ${atOnce}`)
      for (const { tenantId, id, key } of old) {
        await files.delete(key)
        for (const table of [sql`import_effects`, sql`import_links`, sql`import_errors`])
          await db.worker.query(sql`delete from ${table} where tenant_id = ${tenantId} and import_id = ${id}`)
        await db.worker.query(sql`update imports set file = null where tenant_id = ${tenantId} and id = ${id}`)
        purged++
      }
      if (old.length < atOnce) return { imports: purged }
    }
  },
})
