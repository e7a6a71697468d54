import type { Action, Rights, Scope } from '../../kernel/rights.ts'

/** What a role may do, by the kind of noun. `team` and `own` become lists of user ids. */
type Grant = 'all' | 'team' | 'own' | 'none'
type Grants = Readonly<Record<Action, Grant>>

const everything: Grants = { read: 'all', create: 'all', update: 'all', delete: 'all' }
const reading: Grants = { read: 'all', create: 'none', update: 'none', delete: 'none' }

/** Which of its grants a role has on a noun that is no record. */
const kinds: Readonly<Record<string, Kind>> = {
  user: 'setUp',
  team: 'setUp',
  tenant: 'setUp',
  invitation: 'setUp',
  pipeline: 'setUp',
  custom_field: 'setUp',
  exchange_rate: 'setUp',
  scoring_rule: 'setUp',
  target: 'plans',
  lookup: 'setUp',
  tag: 'labels',
  comment: 'words',
  view: 'views',
}

type Kind = 'records' | 'labels' | 'words' | 'views' | 'plans' | 'setUp'

/** What somebody said is his own: others read it, and administrators take it away. */
const spoken: Grants = { ...everything, update: 'own', delete: 'own' }
const moderated: Grants = { ...spoken, delete: 'all' }

/** The five built-in roles: on records, on labels (tags), on what people say (comments), on how they look at it (views), on plans (targets), on what sets the house up. */
const builtIn: Readonly<Record<string, Readonly<Record<Kind, Grants>>>> = {
  owner: {
    records: everything,
    labels: everything,
    words: moderated,
    views: everything,
    plans: everything,
    setUp: everything,
  },
  admin: {
    records: everything,
    labels: everything,
    words: moderated,
    views: everything,
    plans: everything,
    setUp: everything,
  },
  manager: {
    records: { ...everything, update: 'team', delete: 'team' },
    labels: everything,
    words: spoken,
    views: spoken,
    plans: everything,
    setUp: reading,
  },
  member: {
    records: { ...everything, update: 'own', delete: 'own' },
    labels: everything,
    words: spoken,
    views: spoken,
    plans: reading,
    setUp: reading,
  },
  viewer: { records: reading, labels: reading, words: reading, views: reading, plans: reading, setUp: reading },
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
  return { userId, role, scope: (type, action) => scopes[grants[kinds[type] ?? 'records'][action]] }
}
