import type { Database } from '../../kernel/db/database.ts'
import type { Module } from '../../kernel/module.ts'
import type { MergingDeps } from './merge.actions.ts'
import { mergeRoutes } from './merge.routes.ts'
import type { Mergeable } from './values.ts'

/** Makes one record of several, and several of one again, for every noun that says by what its records are the same. */
export function mergingModule(deps: MergingDeps & { db: Database }): Module {
  const nouns = [...deps.entities.values()].filter((entity): entity is Mergeable => entity.sameness !== undefined)
  return { name: 'merging', routes: nouns.flatMap((noun) => mergeRoutes(deps.db, deps, noun)) }
}
