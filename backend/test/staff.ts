import fc from 'fast-check'
import type { Belonging } from '../kernel/rights.ts'

/** Where everybody of a tenant stands, and the role that one of them is given. */
export interface Staff {
  /** By the id of the user. */
  readonly users: Readonly<Record<string, { teamId: string | null; managerId: string | null }>>
  /** By the id of the team. */
  readonly teams: Readonly<Record<string, { parentId: string | null; managerId: string | null }>>
  /** By the type of record; `none` is left out of the role. */
  readonly widths: Readonly<Record<string, { read: Width; update: Width }>>
}

const widths = ['none', 'own', 'team', 'all'] as const
type Width = (typeof widths)[number]

/** Anybody in any team and under anybody, also in circles; teams in any tree. */
export function staffOf(
  users: readonly string[],
  teams: readonly string[],
  types: readonly string[],
): fc.Arbitrary<Staff> {
  const oneOf = (ids: readonly string[]) =>
    ids.length === 0 ? fc.constant(null) : fc.option(fc.constantFrom(...ids), { freq: 3 })
  const each = <T>(keys: readonly string[], draw: (key: string) => fc.Arbitrary<T>) =>
    fc.record(Object.fromEntries(keys.map((key) => [key, draw(key)])))
  const width = fc.constantFrom(...widths, 'own' as const, 'team' as const)
  const ordered = fc.shuffledSubarray([...teams], { minLength: teams.length })
  return ordered.chain((order) =>
    fc.record({
      users: each(users, (id) =>
        fc.record({ teamId: oneOf(teams), managerId: oneOf(users.filter((other) => other !== id)) }),
      ),
      teams: each(order, (id) =>
        fc.record({ parentId: oneOf(order.slice(0, order.indexOf(id))), managerId: oneOf(users) }),
      ),
      widths: each(types, () => fc.record({ read: width, update: width })),
    }),
  )
}

/** The permissions of the role, as the API takes them. */
export const permissionsOf = ({ widths }: Staff) =>
  Object.entries(widths).flatMap(([resource, { read, update }]) =>
    [
      { resource, action: 'read', scope: read },
      { resource, action: 'update', scope: update },
    ].filter(({ scope }) => scope !== 'none'),
  )

/**
 * What the product says of rights, said once more and in no way that it is built: whether somebody with the role may read
 * a record, or change it.
 */
export function mayReach(
  staff: Staff,
  user: string,
  action: 'read' | 'update',
  type: string,
  { ownerIds, createdById, shares = [] }: Belonging,
): boolean {
  const { read, update } = staff.widths[type] ?? { read: 'none', update: 'none' }
  const width = action === 'read' || widths.indexOf(read) < widths.indexOf(update) ? read : update
  if (width === 'all' || width === 'none') return width === 'all'
  const reached = new Set([user, ...(width === 'team' ? teamOf(staff, user) : [])])
  const holders = ownerIds.length > 0 ? ownerIds : [createdById ?? 'nobody']
  const grantees = shares.filter(({ access }) => action === 'read' || access === 'write').map(({ id }) => id)
  const teams = teamsAbove(staff, user)
  return holders.some((id) => reached.has(id)) || grantees.some((id) => reached.has(id) || teams.has(id))
}

/** Who is in a team of his or in one below, who reports to him, and who reports to any of these. */
function teamOf(staff: Staff, user: string): Set<string> {
  const below = grown(teamsOf(staff, user), (id) => keysOf(staff.teams, ({ parentId }) => parentId === id))
  const reports = (id: string) => keysOf(staff.users, ({ managerId }) => managerId === id)
  const mates = keysOf(staff.users, ({ teamId }) => teamId !== null && below.has(teamId))
  return grown([...mates, ...reports(user)], reports)
}

/** His teams, and those that they are a part of. */
const teamsAbove = (staff: Staff, user: string): Set<string> =>
  grown(teamsOf(staff, user), (id) => [staff.teams[id]?.parentId ?? []].flat())

/** The teams that somebody is in or manages. */
const teamsOf = ({ users, teams }: Staff, user: string): string[] => [
  ...[users[user]?.teamId ?? []].flat(),
  ...keysOf(teams, ({ managerId }) => managerId === user),
]

function keysOf<T>(all: Readonly<Record<string, T>>, holds: (value: T) => boolean): string[] {
  return Object.entries(all).flatMap(([key, value]) => (holds(value) ? [key] : []))
}

/** Follows every step until nobody new is met. */
function grown(first: readonly string[], next: (id: string) => readonly string[]): Set<string> {
  const met = new Set(first)
  for (const id of met) for (const other of next(id)) met.add(other)
  return met
}
