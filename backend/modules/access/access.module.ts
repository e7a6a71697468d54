import type { Module } from '../../kernel/module.ts'
import { type AccessDeps, accessRoute, explainRoute } from './access.routes.ts'
import { sharesRoutes } from './shares.routes.ts'

/** Sharing single records, and saying who may do what and why. */
export function accessModule(deps: AccessDeps): Module {
  const shareable = [...deps.entities.values()].filter((entity) => entity.shareable)
  return {
    name: 'access',
    routes: [
      explainRoute(deps),
      ...shareable.flatMap((entity) => [
        accessRoute(deps, entity),
        ...sharesRoutes(deps.db, deps.repository(entity.type)),
      ]),
    ],
  }
}
