import type { Database } from '../db/database.ts'
import { asProblem } from '../http/problem.ts'
import type { Answer, PrivateRoute, Request, Route } from '../http/route.ts'
import { survivorOf } from './aliases.ts'
import type { Entity } from './define.ts'
import type { Registry } from './registry.ts'

/**
 * Lets the calls of one record answer `307` for the id of a record that was merged, with its survivor in `Location` and
 * the method kept. Only what would be 404 is looked for: a call of a record that is there costs nothing more.
 */
export function redirecting(db: Database, registry: Registry, routes: readonly Route[]): Route[] {
  return routes.map((route) => {
    const target = route.access === 'public' || route.access === 'operator' ? undefined : targetOf(registry, route.path)
    if (!target) return route
    const { handle, responses } = route as PrivateRoute
    return {
      ...(route as PrivateRoute),
      responses: { ...responses, 307: moved },
      handle: async (ctx, request) => {
        try {
          return await handle(ctx, request)
        } catch (error) {
          if (asProblem(error)?.status !== 404) throw error
          const found = target(request.params)
          const survivor = found && (await survivorOf(db.tenant(ctx), found.entity, found.id))
          if (!found || !survivor) throw error
          return redirect(request, found.id, survivor)
        }
      },
    }
  })
}

const moved = {
  description: 'It was merged into another record, which stands in `Location`: repeat the call there',
  schema: null,
  headers: ['Location', 'Cache-Control'],
}

type Target = (params: Readonly<Record<string, string>>) => { entity: Entity; id: string } | null

/** Which record a path is about: `/contacts/{id}/...`, or by type and id. */
function targetOf(registry: Registry, path: string): Target | undefined {
  const [, first = '', second] = path.split('/')
  const entity = registry.byPath(first)
  if (entity?.sameness && second === '{id}') return ({ id = '' }) => ({ entity, id })
  if (!path.includes('/{entityType}/{entityId}')) return undefined
  return ({ entityType = '', entityId = '' }) => {
    const found = registry.entities.get(entityType)
    return found?.sameness ? { entity: found, id: entityId } : null
  }
}

function redirect(request: Request<unknown, unknown, unknown>, id: string, survivor: string): Answer {
  const path = request.path
    .split('/')
    .map((part) => (part.toLowerCase() === id ? survivor : part))
    .join('/')
  const query = request.search.size > 0 ? `?${request.search}` : ''
  return { status: 307, headers: { Location: `${path}${query}`, 'Cache-Control': 'no-store' } }
}
