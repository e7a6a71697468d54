import { call, load, type Target } from './load.ts'
import { connections, median } from './rounds.ts'
import type { House } from './setup.ts'

/** A list of what belongs to its caller, or to his team, beside the same list of somebody who reads everything. */
export interface ScopedList {
  readonly scope: 'own' | 'team'
  /** Of how many it gives the records; all contacts are spread over {@link everybody}. */
  readonly holders: number
  /** Lists a second, medians of the rounds. */
  readonly perSecond: number
  readonly ofAll: number
  /** The median of what each round came to, as the load of the machine changes between them. */
  readonly ratio: number
}

/** How many there are in the teams of whom one reads what is his own, or the team's. */
const teams = [1, 2, 5, 13]

/** Who have contacts. */
export const everybody = teams.reduce((sum, size) => sum + size, 0)

const rounds = 5
const seconds = 3
const password = 'correct horse battery'
const list = { method: 'GET', path: '/api/v1/contacts?limit=50', expect: 200 }

/** Measures the lists of each reader in turns with the list of the owner, whose scope is `all`. */
export async function measureRights(house: House): Promise<ScopedList[]> {
  const readers = await people(house)
  await house.digested(300)
  const taken = readers.map((reader) => ({ reader, all: [] as { perSecond: number; ofAll: number }[] }))
  for (const reader of readers) await load(reader.as, () => list, { connections, seconds: 1 })
  for (let round = 0; round < rounds; round++) {
    for (const { reader, all } of taken) {
      const ofAll = await load(house, () => list, { connections, seconds })
      const { perSecond } = await load(reader.as, () => list, { connections, seconds })
      all.push({ perSecond, ofAll: ofAll.perSecond })
    }
  }
  return taken.map(({ reader: { scope, holders }, all }) => ({
    scope,
    holders,
    perSecond: median(all.map(({ perSecond }) => perSecond)),
    ofAll: median(all.map(({ ofAll }) => ofAll)),
    ratio: median(all.map(({ perSecond, ofAll }) => perSecond / ofAll)),
  }))
}

interface Reader extends Pick<ScopedList, 'scope' | 'holders'> {
  readonly as: Target
}

/** One reader of each team; the contacts are spread over everybody. */
async function people(house: House): Promise<Reader[]> {
  const permission = { resource: 'contact', action: 'read' }
  const roleOf = (scope: string) =>
    make(house, 'roles', { name: `Reads ${scope}`, permissions: [{ ...permission, scope }] })
  const roles = { own: (await roleOf('own')).id, team: (await roleOf('team')).id }
  const owners: string[] = []
  const readers: Reader[] = []
  for (const holders of teams) {
    const scope = holders === 1 ? 'own' : 'team'
    const { id: teamId } = await make(house, 'teams', { name: `Team of ${holders}` })
    for (let member = 1; member <= holders; member++) {
      const name = `member${member}of${holders}`
      const values = { name, email: emailOf(name), role: 'member', password, teamId, roleId: roles[scope] }
      owners.push((await make(house, 'users', values)).id)
    }
    readers.push({ scope, holders, as: await signIn(house, emailOf(`member1of${holders}`)) })
  }
  await house.owner.query(
    `update contacts set owner_id = ($2::uuid[])[1 + abs(hashtext(id::text)) % cardinality($2::uuid[])] where tenant_id = $1`,
    [house.tenantId, owners],
  )
  await house.owner.query('vacuum analyze contacts')
  return readers
}

const emailOf = (name: string): string => `${name}@bench.example.com`

const make = (house: House, path: string, body: object): Promise<{ id: string }> =>
  call(house, { method: 'POST', path: `/api/v1/${path}`, body, expect: 201 })

async function signIn({ port }: House, email: string): Promise<Target> {
  const body = { email, password }
  const signedIn = await call<{ accessToken: string }>(
    { port, token: '' },
    { method: 'POST', path: '/api/v1/auth/login', body, expect: 200 },
  )
  return { port, token: signedIn.accessToken }
}
