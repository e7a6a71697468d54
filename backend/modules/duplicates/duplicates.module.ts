import type { Database, Tx } from '../../kernel/db/database.ts'
import { type Entity, mergeableOf } from '../../kernel/entity/define.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import type { Module } from '../../kernel/module.ts'
import { backfill } from './backfill.ts'
import { findAlike } from './duplicate.actions.ts'
import { duplicateRoutes } from './duplicate.routes.ts'
import { duplicatesSubscription } from './matcher.ts'

/** Finds records that may be the same: keys and pairs that a subscription keeps, so that no call looks through all of them. */
export function duplicatesModule(deps: {
  db: Database
  entities: ReadonlyMap<string, Entity>
  repository(type: string): Repository
}): Module {
  const { db, entities, repository } = deps
  const nouns = mergeableOf(entities)
  return {
    name: 'duplicates',
    routes: nouns.flatMap((noun) => duplicateRoutes(db, noun, repository(noun.type))),
    subscriptions: [duplicatesSubscription(nouns)],
    schedules: [
      {
        name: 'duplicates.backfill',
        queue: 'cleanup',
        cron: '23 * * * *',
        timeout: 1_800_000,
        run: (turn) => backfill(db, nouns, turn),
      },
    ],
  }
}

/** Finds the records of a noun that one with these values may be the same as, for others who ask; the surest first. */
export function alikeOf(
  entities: ReadonlyMap<string, Entity>,
): (tx: Tx, type: string, values: Values) => ReturnType<typeof findAlike> {
  const nouns = new Map(mergeableOf(entities).map((noun) => [noun.type, noun]))
  return async (tx, type, values) => {
    const noun = nouns.get(type)
    return noun ? findAlike(tx, noun, values) : []
  }
}
