import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
const readers: { readonly who: Client; readonly reaches: (record: Listed) => boolean }[] = []

interface Listed {
  readonly id: string
  readonly ownerId: string | null
  readonly assigneeIds: readonly string[]
  readonly createdById: string
}

/** Of two nouns sixty records in runs of one owner, so that a page is now full at once and now far. */
beforeAll(async () => {
  house = await startTestApp()
  const { alice } = house
  const roleOf = async (scope: string) => {
    const permissions = [
      ...['contact', 'task'].map((resource) => ({ resource, action: 'read', scope })),
      { resource: 'contact', action: 'create', scope: 'all' },
    ]
    return (await alice.build('role', { name: `Reads ${scope}`, permissions })).id
  }
  const [own, team] = [await roleOf('own'), await roleOf('team')]
  const teamId = (await alice.build('team', { name: 'Sales' })).id
  const ada = await house.join('Ada', 'member', { roleId: own, teamId })
  const ben = await house.join('Ben', 'member', { roleId: team, teamId })
  const cleo = await house.join('Cleo', 'member', { roleId: own })
  const shared = new Set<string>()
  const holds = (record: Listed, userIds: readonly string[]) => {
    const holders = [record.ownerId, ...(record.assigneeIds ?? [])].filter((id) => typeof id === 'string')
    return (holders.length > 0 ? holders : [record.createdById]).some((id) => userIds.includes(id))
  }
  for (const path of ['contacts', 'tasks']) {
    const owners = [ada, ada, ben, alice, alice, alice]
    const operations = Array.from({ length: 60 }, (_none, n) => {
      const owner = owners[Math.floor(n / 7) % owners.length] ?? ada
      const tags = [...(n % 3 === 0 ? ['hot'] : []), ...(n % 4 === 0 ? ['cold'] : [])]
      const data =
        path === 'contacts'
          ? { lastName: `Name ${n % 11}`, leadScore: n % 5 === 0 ? null : n % 9, ownerId: owner.userId, tags }
          : {
              title: `Task ${n % 11}`,
              dueAt: n % 3 === 0 ? null : `2026-12-${10 + (n % 9)}T09:00:00Z`,
              assigneeIds: [owner.userId, ...(n % 6 === 0 ? [ben.userId, ada.userId] : [])],
              tags,
            }
      return { op: 'create', data }
    })
    const { results } = (await alice.post(`/${path}/bulk`, { operations })).body
    for (const { id } of results.slice(30, 33)) {
      shared.add(id)
      await alice.put(`/${path}/${id}/shares`, {
        shares: [
          { teamId, access: 'read' },
          { userId: ada.userId, access: 'write' },
        ],
      })
    }
  }
  await ada.build('contact', { ownerId: null })
  readers.push(
    { who: ada, reaches: (record) => shared.has(record.id) || holds(record, [ada.userId]) },
    { who: ben, reaches: (record) => shared.has(record.id) || holds(record, [ada.userId, ben.userId]) },
    { who: cleo, reaches: () => false },
  )
})
afterAll(() => house.stop())

const sorts = ['createdAt', '-createdAt', 'updatedAt', '-leadScore', 'lastName', 'lastName,-createdAt', '-tags']
const filters = [
  '',
  'tags=hot',
  'tags[in]=hot,cold',
  'leadScore[gte]=4',
  'leadScore[in]=1,2,3',
  'leadScore[isNull]=true',
  'q=Name',
]
const lists = fc.oneof(
  fc.record({
    path: fc.constant('contacts'),
    sort: fc.constantFrom(...sorts.slice(0, 6)),
    filter: fc.constantFrom(...filters),
  }),
  fc.record({
    path: fc.constant('tasks'),
    sort: fc.constantFrom('createdAt', '-dueAt', 'title'),
    filter: fc.constantFrom('', 'tags=hot'),
  }),
)

/** Each is asked twice: how its rows are found follows from what was found before. */
test('whoever reads a part sees, page by page, what the whole list holds of it, and in its order', async () => {
  await fc.assert(
    fc.asyncProperty(lists, fc.constantFrom(1, 2, 7, 50), fc.nat(2), async ({ path, sort, filter }, limit, n) => {
      const reader = readers[n]
      if (!reader) throw new Error('nobody reads')
      const query = `sort=${sort}${filter && `&${filter}`}`
      const whole = (await house.alice.get(`/${path}?${query}&limit=200`)).body.data.filter(reader.reaches)
      const wanted = whole.map(({ id }: Listed) => id)
      for (const _time of ['first', 'again'])
        expect(await walked(reader.who, `/${path}?${query}&limit=${limit}`)).toEqual(wanted)
    }),
    { numRuns: 60, endOnFailure: true },
  )
}, 120_000)

async function walked(who: Client, list: string): Promise<string[]> {
  const ids: string[] = []
  let cursor = ''
  do {
    const { status, body } = await who.get(`${list}&count=exact${cursor}`)
    expect([list, status, body.errors]).toEqual([list, 200, undefined])
    ids.push(...body.data.map(({ id }: Listed) => id))
    cursor = body.page.nextCursor ? `&cursor=${body.page.nextCursor}` : ''
    if (!cursor) expect(body.page.total).toBe(ids.length)
  } while (cursor)
  return ids
}
