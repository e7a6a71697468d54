/** What a role may do with a type of record. */
export type Action = 'read' | 'create' | 'update' | 'delete'

/** Which records of a type an action reaches: all, none, or those that belong to some. */
export type Scope = 'all' | 'none' | Reach

/** The records that belong to these: owner or assignee, else who created them. */
export interface Reach {
  /** Users, each once, as a list asks for the records of each. */
  readonly userIds: readonly string[]
  /** Teams: what is shared with one of them is as shared with one of the users. */
  readonly teamIds?: readonly string[] | undefined
  /** Whether what is shared with one of these is reached too: in any way, or only so that it may be written. */
  readonly shares?: 'read' | 'write' | undefined
  /** The scope of the permission from which it follows. */
  readonly of?: 'own' | 'team'
}

/** The members of a type that are not seen, and those that are seen and not written. */
export interface FieldRules {
  readonly hidden: ReadonlySet<string>
  readonly readOnly: ReadonlySet<string>
}

/**
 * The rights of one user, compiled to data: rendered as SQL by the repository, as arguments of the search function, as a
 * filter of Elasticsearch, and as a check in memory by the sockets.
 */
export interface Rights {
  readonly userId: string
  readonly role: string
  scope(type: string, action: Action): Scope
  /** Undefined where every member is seen and written. */
  fields?(type: string): FieldRules | undefined
}

/** Somebody with whom a record is shared, beside those to whom it belongs. */
export interface Share {
  /** A user or a team. */
  readonly id: string
  readonly access: 'read' | 'write'
}

/** The ids that say whose a record is. */
export interface Belonging {
  readonly ownerIds: readonly string[]
  readonly createdById: string | null
  readonly shares?: readonly Share[]
}

/** The users to whom a record belongs: its owner and assignees, else who created it. */
export function holdersOf({ ownerIds, createdById }: Pick<Belonging, 'ownerIds' | 'createdById'>): readonly string[] {
  if (ownerIds.length > 0) return ownerIds
  return createdById ? [createdById] : []
}

/** With whom a record is shared for a scope to count the share. */
export const granteesOf = ({ userIds, teamIds = [] }: Reach): readonly string[] => [...userIds, ...teamIds]

/** The check in memory: whether a scope reaches a record that belongs to these users. */
export function reaches(scope: Scope, { ownerIds, createdById, shares }: Belonging): boolean {
  if (scope === 'all') return true
  if (scope === 'none') return false
  if (holdersOf({ ownerIds, createdById }).some((id) => scope.userIds.includes(id))) return true
  if (scope.shares === undefined || shares === undefined) return false
  const grantees = granteesOf(scope)
  return shares.some(({ id, access }) => (scope.shares === 'read' || access === 'write') && grantees.includes(id))
}
