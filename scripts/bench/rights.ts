import { call, load, type Target } from './load.ts'
import { connections, median } from './rounds.ts'
import type { House } from './setup.ts'

/** A list of what belongs to its caller, or to the team, beside the same list of somebody who reads everything. */
export interface ScopedList {
  readonly scope: 'own' | 'team'
  /** Whose records it gives. */
  readonly holders: number
  /** Lists a second, medians of the rounds. */
  readonly perSecond: number
  readonly ofAll: number
  /** The median of what each round came to, as the load of the machine changes between them. */
  readonly ratio: number
}

const colleagues = 20
const rounds = 5
const seconds = 3
const password = 'correct horse battery'
const list = { method: 'GET', path: '/api/v1/contacts?limit=50', expect: 200 }

/** Measures lists under each scope in turns with the list of the owner, whose scope is `all`. */
export async function measureRights(house: House): Promise<ScopedList[]> {
  const callers = await people(house)
  await house.digested(300)
  const scopes = ['own', 'team'] as const
  const taken = new Map(scopes.map((scope) => [scope, [] as { perSecond: number; ofAll: number }[]]))
  for (const scope of scopes) await load(callers[scope], () => list, { connections, seconds: 1 })
  for (let round = 0; round < rounds; round++) {
    for (const scope of scopes) {
      const [ofAll, { perSecond }] = [
        await load(house, () => list, { connections, seconds }),
        await load(callers[scope], () => list, { connections, seconds }),
      ]
      taken.get(scope)?.push({ perSecond, ofAll: ofAll.perSecond })
    }
  }
  return [...taken].map(([scope, all]) => ({
    scope,
    holders: scope === 'own' ? 1 : colleagues + 1,
    perSecond: median(all.map(({ perSecond }) => perSecond)),
    ofAll: median(all.map(({ ofAll }) => ofAll)),
    ratio: median(all.map(({ perSecond, ofAll }) => perSecond / ofAll)),
  }))
}

/** One who reads what is his own and one who reads what is the team's; the contacts are spread over all of them. */
async function people(house: House): Promise<{ own: Target; team: Target }> {
  const { id: teamId } = await make(house, 'teams', { name: 'Bench' })
  const roleOf = (scope: string) =>
    make(house, 'roles', { name: `Reads ${scope}`, permissions: [{ resource: 'contact', action: 'read', scope }] })
  const [own, team] = [await roleOf('own'), await roleOf('team')]
  const join = (name: string, roleId: string) =>
    make(house, 'users', { name, email: emailOf(name), role: 'member', password, teamId, roleId })
  const members = [await join('own', own.id), await join('team', team.id)]
  while (members.length <= colleagues) members.push(await join(`colleague${members.length}`, own.id))
  await house.owner.query(
    `update contacts set owner_id = ($2::uuid[])[1 + abs(hashtext(id::text)) % cardinality($2::uuid[])] where tenant_id = $1`,
    [house.tenantId, members.map(({ id }) => id)],
  )
  await house.owner.query('vacuum analyze contacts')
  return { own: await signIn(house, emailOf('own')), team: await signIn(house, emailOf('team')) }
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
