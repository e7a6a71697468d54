import sql from 'sql-template-tag'
import { z } from 'zod'
import { frugally } from '../../kernel/frugal.ts'
import type { Job, Schedule } from '../../kernel/jobs/job.ts'
import type { Module } from '../../kernel/module.ts'
import { exportRoutes } from './export.routes.ts'
import { type ExportDeps, failExport, runExport } from './run.ts'

/** Lists go out as tables, which come back as they were. */
export function exportsModule(deps: ExportDeps): Module {
  return { name: 'exports', routes: exportRoutes(deps), jobs: [exportJob(deps)], schedules: [purge(deps)] }
}

const data = z.object({ exportId: z.guid() })

const exportJob = (deps: ExportDeps): Job<z.output<typeof data>> => ({
  name: 'export.run',
  queue: 'exports',
  timeout: 2 * 3_600_000,
  data,
  on: ['export.requested'],
  ask: ({ recordId }) => (recordId === null ? [] : [{ data: { exportId: recordId } }]),
  run: (work) => frugally(() => runExport(deps, work)),
  gaveUp: (work) => failExport(deps.db, work, 'It could not be made for a reason of ours; try again'),
})

const keepDays = 7
const atOnce = 500
const ripe = sql`created_at < now() - make_interval(days => ${keepDays}) and status in ('completed', 'failed')`

/** Exports and their files go after a week. */
const purge = ({ db, files }: ExportDeps): Schedule => ({
  name: 'exports.purge',
  queue: 'cleanup',
  cron: '27 3 * * *',
  run: async ({ dryRun, signal }) => {
    if (dryRun) {
      const [row] = await db.worker.query(sql`select count(*)::integer as exports from exports where ${ripe}`)
      return { exports: row?.exports ?? 0 }
    }
    let purged = 0
    for (;;) {
      signal.throwIfAborted()
      const old = await db.worker.query<{ tenantId: string; id: string; key: string | null }>(sql`
        select tenant_id as "tenantId", id, file ->> 'key' as key from exports
        where ${ripe} order by created_at limit ${atOnce}`)
      for (const { tenantId, id, key } of old) {
        if (key !== null) await files.delete(key)
        await db.worker.query(sql`delete from exports where tenant_id = ${tenantId} and id = ${id}`)
        purged++
      }
      if (old.length < atOnce) return { exports: purged }
    }
  },
})
