import type { Ctx } from '../context.ts'
import { forbidden } from '../errors.ts'
import type { Route } from './route.ts'

/**
 * Throws 403 for a platform operator in a user's name where the user alone may act: his password, factors and sessions,
 * and keys and invitations, which would outlast the visit. What is new below `/auth` is his alone until it is named here.
 */
export function refuseStandIn({ method, path }: Pick<Route, 'method' | 'path'>, ctx: Ctx): void {
  if (ctx.actor.operator === undefined || open.has(`${method} ${path}`)) return
  if (his.some((start) => path.startsWith(start)) || path.endsWith('/sessions')) throw onlyHimself()
}

/** Throws the same where it is not the call that says so, but what is sent: who may come in, and what he may do then. */
export function refuseLasting({ actor }: Ctx): void {
  if (actor.operator !== undefined) throw onlyHimself()
}

const onlyHimself = () => forbidden('Only the user himself may do this: you act in his name as a platform operator')

const open = new Set(['get /auth/me', 'post /auth/logout'])
const his = ['/auth/', '/api-keys', '/service-accounts', '/invitations']
