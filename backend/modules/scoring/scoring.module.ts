import type { Module } from '../../kernel/module.ts'
import { refreshSchedule } from './refresh.ts'
import { scoreRoutes } from './score.routes.ts'
import { rescoringSubscription, scoringSubscription } from './scorer.ts'
import type { ScoringDeps } from './scores.ts'

/** Scores contacts and leads by the rules of their tenant, and explains the scores. */
export function scoringModule(deps: ScoringDeps): Module {
  const stopping = new AbortController()
  return {
    name: 'scoring',
    routes: scoreRoutes(deps),
    subscriptions: [scoringSubscription(deps), rescoringSubscription(deps, stopping.signal)],
    schedules: [refreshSchedule(deps)],
    stop: async () => stopping.abort(new Error('the process stops')),
  }
}
