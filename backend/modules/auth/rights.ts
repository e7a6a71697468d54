import type { Action, Rights, Scope } from '../../kernel/rights.ts'

/** What a role may do, by the kind of noun. `team` and `own` become lists of user ids. */
type Grant = 'all' | 'team' | 'own' | 'none'
type Grants = Readonly<Record<Action, Grant>>

const everything: Grants = { read: 'all', create: 'all', update: 'all', delete: 'all' }
const reading: Grants = { read: 'all', create: 'none', update: 'none', delete: 'none' }

/** Nouns that set the house up: written by owners and admins only. */
const setUp = new Set(['user', 'team', 'pipeline', 'custom_field'])

/** The five built-in roles: on records, on labels (tags), on what sets the house up. */
const builtIn: Readonly<Record<string, { records: Grants; labels: Grants; setUp: Grants }>> = {
  owner: { records: everything, labels: everything, setUp: everything },
  admin: { records: everything, labels: everything, setUp: everything },
  manager: { records: { ...everything, update: 'team', delete: 'team' }, labels: everything, setUp: reading },
  member: { records: { ...everything, update: 'own', delete: 'own' }, labels: everything, setUp: reading },
  viewer: { records: reading, labels: reading, setUp: reading },
}

/** Compiles a role to data. `teamUserIds`: the user, who is in his teams, and who reports to him, transitively. */
export function compileRights(userId: string, role: string, teamUserIds: readonly string[]): Rights {
  const grants = builtIn[role]
  if (!grants) throw new Error(`there is no role ${role}`)
  const scopes: Readonly<Record<Grant, Scope>> = {
    all: 'all',
    none: 'none',
    own: { userIds: [userId] },
    team: { userIds: [userId, ...teamUserIds] },
  }
  const kind = (type: string) => (setUp.has(type) ? grants.setUp : type === 'tag' ? grants.labels : grants.records)
  return { userId, role, scope: (type, action) => scopes[kind(type)[action]] }
}
