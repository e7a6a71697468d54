import type { Action, FieldRules, Reach, Rights, Scope } from '../../kernel/rights.ts'

/** What a role may do, by the kind of noun. `team` and `own` become lists of user ids. */
type Grant = 'all' | 'team' | 'own' | 'none'
type Grants = Readonly<Record<Action, Grant>>

const everything: Grants = { read: 'all', create: 'all', update: 'all', delete: 'all' }
const nothing: Grants = { read: 'none', create: 'none', update: 'none', delete: 'none' }
const reading: Grants = { read: 'all', create: 'none', update: 'none', delete: 'none' }

/** Which of its grants a role has on a noun that is no record. */
const kinds: Readonly<Record<string, Kind>> = {
  user: 'setUp',
  role: 'setUp',
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
  api_key: 'keys',
  service_account: 'keys',
}

type Kind = 'records' | 'labels' | 'words' | 'views' | 'plans' | 'setUp' | 'keys'

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
    keys: everything,
  },
  admin: {
    records: everything,
    labels: everything,
    words: moderated,
    views: everything,
    plans: everything,
    setUp: everything,
    keys: everything,
  },
  manager: {
    records: { ...everything, update: 'team', delete: 'team' },
    labels: everything,
    words: spoken,
    views: spoken,
    plans: everything,
    setUp: reading,
    keys: nothing,
  },
  member: {
    records: { ...everything, update: 'own', delete: 'own' },
    labels: everything,
    words: spoken,
    views: spoken,
    plans: reading,
    setUp: reading,
    keys: nothing,
  },
  viewer: {
    records: reading,
    labels: reading,
    words: reading,
    views: reading,
    plans: reading,
    setUp: reading,
    keys: nothing,
  },
}

/** What an own role says of itself. */
export interface OwnRole {
  readonly permissions: readonly { readonly resource: string; readonly action: Action; readonly scope: Grant }[]
  readonly fieldRules: readonly {
    readonly resource: string
    readonly field: string
    readonly rule: 'hidden' | 'readOnly'
  }[]
}

/** Who somebody is, as far as his rights follow from it. */
export interface Member {
  readonly id: string
  readonly role: string
  /** The role of the tenant's own that he has instead; who was given one that is gone has no rights at all. */
  readonly own?: OwnRole | 'gone' | null
  /** Users: who is in his teams, and who reports to him, transitively. */
  readonly team: readonly string[]
  /** The teams that he is in or manages: what is shared with them is shared with him. */
  readonly teamIds?: readonly string[]
}

/** Compiles a role to data. */
export function compileRights({ id, role, own, team, teamIds = [] }: Member): Rights {
  const grant = grantingOf(role, own)
  // Who is in a team of his own stands in `team` too.
  const staff = [...new Set([id, ...team])]
  // A share widens which records an action reaches, and never to one that deletes.
  const reach = (of: 'own' | 'team', action: Action): Reach => {
    const belonging = { userIds: of === 'own' ? [id] : staff, of }
    if (action === 'delete' || action === 'create') return belonging
    return { ...belonging, teamIds, shares: action === 'read' ? 'read' : 'write' }
  }
  const scopes = new Map<string, Scope>()
  const fields = fieldsOf(own && own !== 'gone' ? own.fieldRules : [])
  return {
    userId: id,
    role,
    scope: (type, action) => {
      const key = `${type} ${action}`
      const known = scopes.get(key)
      if (known) return known
      const of = grant(type, action)
      const scope = of === 'all' || of === 'none' ? of : reach(of, action)
      scopes.set(key, scope)
      return scope
    },
    ...(fields.size > 0 ? { fields: (type: string) => fields.get(type) } : {}),
  }
}

type Granting = (type: string, action: Action) => Grant

function grantingOf(role: string, own: Member['own']): Granting {
  if (own === 'gone') return () => 'none'
  return own ? granted(own) : grantedBy(role)
}

function grantedBy(role: string): Granting {
  const grants = builtIn[role]
  if (!grants) throw new Error(`there is no role ${role}`)
  return (type, action) => grants[kinds[type] ?? 'records'][action]
}

/** What an own role has without saying so: it sees how the house is set up, and speaks where it may read. */
const unsaid: Readonly<Record<Kind, Grants>> = {
  records: { read: 'none', create: 'none', update: 'none', delete: 'none' },
  labels: reading,
  words: spoken,
  views: spoken,
  plans: reading,
  setUp: reading,
  keys: nothing,
}

const widths: readonly Grant[] = ['none', 'own', 'team', 'all']

function granted({ permissions }: OwnRole): Granting {
  const said = new Map<string, Grant>()
  for (const { resource, action, scope } of permissions) {
    const key = `${resource} ${action}`
    if (widths.indexOf(scope) > widths.indexOf(said.get(key) ?? 'none')) said.set(key, scope)
  }
  const plainly: Granting = (type, action) => said.get(`${type} ${action}`) ?? unsaid[kinds[type] ?? 'records'][action]
  // Nobody changes or deletes what he does not see.
  return (type, action) =>
    action === 'create' ? plainly(type, action) : narrower(plainly(type, action), plainly(type, 'read'))
}

const narrower = (one: Grant, other: Grant): Grant => (widths.indexOf(one) < widths.indexOf(other) ? one : other)

function fieldsOf(rules: OwnRole['fieldRules']): Map<string, FieldRules> {
  const found = new Map<string, { hidden: Set<string>; readOnly: Set<string> }>()
  for (const { resource, field, rule } of rules) {
    const known = found.get(resource) ?? { hidden: new Set<string>(), readOnly: new Set<string>() }
    known[rule].add(field)
    found.set(resource, known)
  }
  return found
}
