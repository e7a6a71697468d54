/** What a role may do with a type of record. */
export type Action = 'read' | 'create' | 'update' | 'delete'

/**
 * Which records of a type an action reaches: all, none, or those that belong to these users
 * (owner or assignee, else who created them).
 */
export type Scope = 'all' | 'none' | { readonly userIds: readonly string[] }

/**
 * The rights of one user, compiled to data: rendered as SQL by the repository, as arguments of the search function,
 * and as a check in memory by the sockets.
 */
export interface Rights {
  readonly userId: string
  readonly role: string
  scope(type: string, action: Action): Scope
}

/** The ids that say whose a record is. */
export interface Belonging {
  readonly ownerIds: readonly string[]
  readonly createdById: string | null
}

/** The check in memory: whether a scope reaches a record that belongs to these users. */
export function reaches(scope: Scope, belonging: Belonging): boolean {
  if (scope === 'all') return true
  if (scope === 'none') return false
  const holders =
    belonging.ownerIds.length > 0 ? belonging.ownerIds : belonging.createdById ? [belonging.createdById] : []
  return holders.some((id) => scope.userIds.includes(id))
}
