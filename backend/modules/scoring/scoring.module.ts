import type { Schedule } from '../../kernel/jobs/job.ts'
import type { Module } from '../../kernel/module.ts'
import { readTimed } from './score.queries.ts'
import { scoreRoutes } from './score.routes.ts'
import { rescoringSubscription, scoringSubscription } from './scorer.ts'
import { type ScoringDeps, systemCtx, writeAllScores } from './scores.ts'

/** Scores contacts and leads by the rules of their tenant, and explains the scores. */
export function scoringModule(deps: ScoringDeps): Module {
  const stopping = new AbortController()
  return {
    name: 'scoring',
    routes: scoreRoutes(deps),
    subscriptions: [scoringSubscription(deps), rescoringSubscription(deps, stopping.signal)],
    schedules: [refresh(deps)],
    stop: async () => stopping.abort(new Error('the process stops')),
  }
}

/** What was within 30 days yesterday may not be today, though nothing has happened. */
const refresh = (deps: ScoringDeps): Schedule => ({
  name: 'scores.refresh',
  queue: 'cleanup',
  cron: '20 3 * * *',
  run: async ({ dryRun, signal, log }) => {
    let scored = 0
    const timed = await readTimed(deps.db.worker)
    for (const { tenantId, resource } of timed) {
      scored += await writeAllScores(deps, systemCtx(tenantId, 'scores.refresh'), resource, { signal, dryRun })
      log.debug({ tenantId, resource }, 'scores were worked out again')
    }
    return { resources: timed.length, scored }
  },
})
