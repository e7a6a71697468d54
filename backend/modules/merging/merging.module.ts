import type { Database } from '../../kernel/db/database.ts'
import { mergeableOf } from '../../kernel/entity/define.ts'
import type { Module } from '../../kernel/module.ts'
import type { MergingDeps } from './merge.actions.ts'
import { mergeRoutes } from './merge.routes.ts'

/** Makes one record of several, and several of one again, for every noun that says by what its records are the same. */
export function mergingModule(deps: MergingDeps & { db: Database }): Module {
  return { name: 'merging', routes: mergeableOf(deps.entities).flatMap((noun) => mergeRoutes(deps.db, deps, noun)) }
}
