import { type Ctx, isMachine, mayNot } from '../../kernel/context.ts'
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

/** Paths that are about a type, though they are not its own. */
const others: Readonly<Record<string, string>> = { comments: 'comment', 'hand-overs': 'user' }

function refusalOf(method: string, path: string, typeOfPath: (segment: string) => string | undefined) {
  const [, first = '', ...rest] = path.split('/')
  const about = rest.includes('comments') ? 'comment' : (others[first] ?? typeOfPath(first))
  const type = rest[0] === 'me' ? undefined : about
  if (about === undefined && ofManyTypes.has(first) && rest[0] !== 'me') return () => {}
  const reads = method === 'get' || asking.test(path)
  const actions: readonly Action[] = reads ? ['read'] : ['create', 'update', 'delete']
  return (ctx: Ctx): void => {
    if (type === undefined) throw forbidden('This is for people: sign in as a user')
    if (actions.some((action) => ctx.rights.scope(type, action) !== 'none')) return
    throw reads
      ? mayNot(ctx, 'read', type)
      : forbidden(`This takes a key with one of the scopes ${scopes(type, actions)}`)
  }
}

const scopes = (type: string, actions: readonly Action[]): string =>
  actions.map((action) => `${type}:${action}`).join(', ')
