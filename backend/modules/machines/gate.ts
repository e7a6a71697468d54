import { type Ctx, isMachine } from '../../kernel/context.ts'
import { forbidden } from '../../kernel/errors.ts'
import type { Route } from '../../kernel/http/route.ts'
import type { Action } from '../../kernel/rights.ts'

/**
 * Shuts machines out of what their scopes cannot be for: a call about a resource of which they may not read, or write,
 * anything, and every call that is about a person himself. A path that nobody has named here is shut, so that a new
 * route is not open to keys by oversight. What a call does with single records is for the rights to say, as for people.
 */
export function gated(routes: readonly Route[], typeOfPath: (segment: string) => string | undefined): Route[] {
  return routes.map((route) => {
    if (route.access !== undefined) return route
    const refuse = refusalOf(route.method, route.path, typeOfPath)
    return { ...route, permit: (ctx: Ctx) => (isMachine(ctx) ? refuse(ctx) : undefined) }
  })
}

/** Calls that look into records of several types: each answer holds what the rights reach, and no more. */
const ofManyTypes = new Set(['search', 'timeline', 'imports', 'exports'])

/** Calls that read though they are posts. */
const asking = /\/duplicates\/check$/

function refusalOf(method: string, path: string, typeOfPath: (segment: string) => string | undefined) {
  const [, first = '', ...rest] = path.split('/')
  const type = rest.includes('comments') || first === 'comments' ? 'comment' : typeOfPath(first)
  if (type === undefined && ofManyTypes.has(first) && path !== '/timeline/me') return () => {}
  const reads = method === 'get' || asking.test(path)
  const actions: readonly Action[] = reads ? ['read'] : ['create', 'update', 'delete']
  return ({ rights }: Ctx): void => {
    if (type === undefined) throw forbidden('This is for people: sign in as a user')
    if (actions.every((action) => rights.scope(type, action) === 'none'))
      throw forbidden(`No scope of this key lets it ${reads ? 'read' : 'change'} a ${type.replaceAll('_', ' ')}`)
  }
}
