import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Logger } from '../../kernel/log.ts'
import type { Module } from '../../kernel/module.ts'
import { adminRoutes } from './admin.routes.ts'
import { findCandidates, mostCandidates } from './candidates.ts'
import { searchSubscription } from './indexer.ts'
import { readQuestion } from './question.ts'
import { dropTombstones } from './search.queries.ts'
import { searchRoutes } from './search.routes.ts'

/** The search over all records, and the quick find of every list. */
export interface Search {
  readonly module: Module
  /** Up to 200 ids of a type for what somebody typed, the best first. */
  find(ctx: Ctx, type: string, q: string): Promise<readonly string[]>
}

/** One narrow table of documents for all nouns, kept current by a subscription and ranked over bounded candidates. */
export function searchModule(deps: { db: Database; log: Logger; entities: ReadonlyMap<string, Entity> }): Search {
  const { db, entities } = deps
  return {
    module: {
      name: 'search',
      routes: [...searchRoutes(db, entities), ...adminRoutes(db, entities)],
      subscriptions: [searchSubscription(entities)],
      schedules: [
        {
          name: 'search.forget-deleted',
          queue: 'cleanup',
          cron: '55 * * * *',
          run: ({ dryRun }) => dropTombstones(db.worker, dryRun),
        },
      ],
    },
    find: async (ctx, type, q) => {
      const question = readQuestion(q)
      if (question === null) return []
      const wish = { question, types: [type], filters: {}, sort: 'relevance' } as const
      const { candidates } = await findCandidates(db.tenant(ctx), entities, wish)
      return candidates.slice(0, mostCandidates).map(({ id }) => id)
    },
  }
}
