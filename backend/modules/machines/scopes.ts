import { z } from 'zod'
import type { Action, Rights } from '../../kernel/rights.ts'

/** `resource:action`: one of each, or `*` for all. */
export const scopeSchema = z
  .string()
  .max(100)
  .regex(/^([a-z][a-z_]*|\*):(read|create|update|delete|\*)$/, {
    message: 'must be resource:action, as contact:read, deal:* or *:read',
  })

/** Whether scopes hold an action on a resource. Nobody changes or deletes what he does not see: the answer would show it. */
function holds(scopes: readonly string[], resource: string, action: Action): boolean {
  const named = [`${resource}:${action}`, `${resource}:*`, `*:${action}`, '*:*'].some((scope) => scopes.includes(scope))
  return named && (action === 'read' || action === 'create' || holds(scopes, resource, 'read'))
}

/**
 * The rights of a person for a key of his: what the scopes do not hold is nobody's. The role informs no rule of owners
 * and administrators: what only they may do beyond the rights of records, no key may.
 */
export const narrowed = (rights: Rights, scopes: readonly string[]): Rights => ({
  ...limited(rights, scopes),
  role: 'api_key',
})

/** Rights, without what scopes do not hold. */
export const limited = (rights: Rights, scopes: readonly string[]): Rights => ({
  ...rights,
  scope: (type, action) => (holds(scopes, type, action) ? rights.scope(type, action) : 'none'),
})

/** The rights of a service account: its scopes, over every record of the tenant. It is nobody's, so nothing is its own. */
export const rightsOfService = (id: string, scopes: readonly string[]): Rights => ({
  userId: id,
  role: 'service',
  scope: (type, action) => (holds(scopes, type, action) ? 'all' : 'none'),
})
