import type { Schedule, Turn } from '../../kernel/jobs/job.ts'
import { keepRefreshed, type Refresh, readRefreshes } from './refresh.queries.ts'
import { type ScoringDeps, scoringCtx, writeAllScores } from './scores.ts'

/**
 * What was within 30 days yesterday may not be today, though nothing has happened: each day all scores that depend on the
 * time are worked out again. It keeps its place, so that a turn goes on where the one before was stopped; with many
 * tenants that takes several turns.
 */
export function refreshSchedule(deps: ScoringDeps): Schedule {
  return {
    name: 'scores.refresh',
    queue: 'cleanup',
    cron: '20 * * * *',
    timeout: 1_800_000,
    run: async (turn) => {
      const counts = { resources: 0, scored: 0, failed: 0 }
      for (const due of await readRefreshes(deps.db.worker)) {
        try {
          counts.scored += await refresh(deps, due, turn)
          counts.resources += 1
        } catch (error) {
          turn.signal.throwIfAborted()
          counts.failed += 1
          const { tenantId, resource } = due
          turn.log.warn({ err: error, tenantId, resource }, 'scores could not be worked out again; the next turn tries')
        }
      }
      return counts
    },
  }
}

async function refresh(deps: ScoringDeps, { tenantId, resource, after }: Refresh, turn: Turn): Promise<number> {
  const ctx = scoringCtx(tenantId, 'scores.refresh')
  const { signal, dryRun } = turn
  if (dryRun) return writeAllScores(deps, ctx, resource, { signal, dryRun, after })
  const passed = (id: string): Promise<void> => keepRefreshed(deps.db.worker, { tenantId, resource, after: id })
  const scored = await writeAllScores(deps, ctx, resource, { signal, after, passed })
  await keepRefreshed(deps.db.worker, { tenantId, resource, after: null })
  return scored
}
