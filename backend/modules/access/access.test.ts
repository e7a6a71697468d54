import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client
/** Reads and changes what is his own, and nothing else. */
let owen: Client
let team: { id: string }

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
  const permissions = ['contact', 'company', 'deal', 'lead', 'task', 'note', 'interaction', 'product'].flatMap(
    (resource) => ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'own' })),
  )
  const role = await alice.build('role', { name: 'Own records', permissions })
  team = await alice.build('team', { name: 'West' })
  owen = await house.join('Owen', 'member', { roleId: role.id, teamId: team.id })
})
afterAll(() => house.stop())

const ids = (answer: { body: { data: { id: string }[] } }) => answer.body.data.map(({ id }) => id)
const found = async (who: Client, q: string) =>
  (await who.get(`/search/contacts?q=${q}`)).body.data.map((hit: { id: string }) => hit.id)

describe('a share', () => {
  test.each(['contact', 'company', 'deal', 'lead', 'task', 'note', 'interaction', 'product'])(
    'lets somebody read a %s that is not his',
    async (noun) => {
      const record = await alice.build(noun)
      const at = `${pathOf[noun]}/${record.id}`
      expect((await owen.get(at)).status).toBe(404)
      const shared = await alice.put(`${at}/shares`, { shares: [{ userId: owen.userId, access: 'read' }] })
      expect([shared.status, shared.body.shares]).toMatchObject([
        200,
        [{ userId: owen.userId, name: 'Owen', access: 'read' }],
      ])
      expect((await owen.get(at)).status).toBe(200)
      expect(ids(await owen.get(pathOf[noun] ?? ''))).toContain(record.id)
      expect((await owen.post(`${at}/archive`)).status).toBe(403)
      expect((await owen.delete(at)).status).toBe(403)
      await alice.put(`${at}/shares`, { shares: [] })
      expect((await owen.get(at)).status).toBe(404)
      expect(ids(await owen.get(pathOf[noun] ?? ''))).not.toContain(record.id)
    },
  )

  test('goes over to the record that several become, and comes back with them', async () => {
    const [one, two, three] = [await alice.build('contact'), await alice.build('contact'), await alice.build('contact')]
    const share = (id: string, access: string, whom: object = { userId: owen.userId }) =>
      alice.put(`/contacts/${id}/shares`, { shares: [{ ...whom, access }] })
    const statuses = async () => [
      (await owen.get(`/contacts/${one.id}`)).status,
      (await owen.patch(`/contacts/${one.id}`, { jobTitle: 'Chief' })).status,
      (await owen.get(`/contacts/${two.id}`)).status,
    ]
    await share(two.id, 'read', { teamId: team.id })
    await share(three.id, 'write')
    expect(await statuses()).toEqual([404, 404, 200])
    await alice.post(`/contacts/${one.id}/merge`, { fromIds: [two.id, three.id] })
    expect(await statuses()).toEqual([200, 200, 307])
    const { shares } = (await alice.get(`/contacts/${one.id}/shares`)).body
    expect(shares).toMatchObject([
      { userId: owen.userId, access: 'write', sharedById: alice.userId },
      { teamId: team.id, access: 'read' },
    ])
    const merge = await eventually(async () => {
      const { data } = (await alice.get(`/contacts/${one.id}/timeline`)).body
      return data.find((one: { metadata: { verb?: string } }) => one.metadata.verb === 'merged')
    }, 'the merge in the timeline')
    expect(merge.changes).toContainEqual({
      field: 'sharedWith',
      oldValue: [],
      newValue: expect.arrayContaining([
        { userId: owen.userId, access: 'write' },
        { teamId: team.id, access: 'read' },
      ]),
    })
    await eventually(async () => (await found(owen, 'lovelace')).includes(one.id), 'the shared record in the search')
    await alice.post(`/contacts/${one.id}/unmerge`, { ids: [three.id] })
    expect(await statuses()).toEqual([200, 403, 307])
    expect((await owen.patch(`/contacts/${three.id}`, { jobTitle: 'Chief' })).status).toBe(200)
    await alice.post(`/contacts/${one.id}/unmerge`)
    expect(await statuses()).toEqual([404, 404, 200])
    expect((await alice.get(`/contacts/${one.id}/shares`)).body.shares).toEqual([])
  })

  test('that was there, or was changed since, stays when records come back', async () => {
    const [one, two] = [await alice.build('contact'), await alice.build('contact')]
    const shareWith = (id: string, owens: string, bobs: string) =>
      alice.put(`/contacts/${id}/shares`, {
        shares: [
          { userId: owen.userId, access: owens },
          { userId: bob.userId, access: bobs },
        ],
      })
    await shareWith(one.id, 'read', 'read')
    await shareWith(two.id, 'write', 'write')
    await alice.post(`/contacts/${one.id}/merge`, { fromIds: [two.id] })
    await shareWith(one.id, 'write', 'read')
    await alice.post(`/contacts/${one.id}/unmerge`)
    const { shares } = (await alice.get(`/contacts/${one.id}/shares`)).body
    expect(shares.map(({ access }: { access: string }) => access)).toEqual(['read', 'read'])
  })

  test('to be written lets somebody change it, and neither delete it nor share it further', async () => {
    const { id } = await alice.build('contact', { lastName: 'Written' })
    await alice.put(`/contacts/${id}/shares`, { shares: [{ userId: owen.userId, access: 'write' }] })
    expect((await owen.patch(`/contacts/${id}`, { jobTitle: 'Chief' })).status).toBe(200)
    expect((await owen.delete(`/contacts/${id}`)).status).toBe(403)
    expect((await owen.put(`/contacts/${id}/shares`, { shares: [] })).status).toBe(403)
    const reader = await alice.build('contact')
    await alice.put(`/contacts/${reader.id}/shares`, { shares: [{ userId: owen.userId, access: 'read' }] })
    expect((await owen.patch(`/contacts/${reader.id}`, { jobTitle: 'Chief' })).status).toBe(403)
  })

  test.each([
    ['contact', 'ownerId', { lastName: 'Taken' }],
    ['company', 'ownerId', { name: 'Taken' }],
    ['deal', 'ownerId', { name: 'Taken' }],
    ['lead', 'ownerId', { lastName: 'Taken' }],
    ['task', 'assigneeIds', { title: 'Taken' }],
  ])('to be written lets nobody say whose a %s is, by whatever way', async (noun, member, whole) => {
    const held = member === 'ownerId' ? { ownerId: alice.userId } : { assigneeIds: [alice.userId] }
    for (const who of [owen, bob]) {
      const mine = member === 'ownerId' ? { ownerId: who.userId } : { assigneeIds: [who.userId] }
      const externalId = `taken-${noun}-${who.userId}`
      const { id } = await alice.build(noun, { ...held, externalId })
      const resource = pathOf[noun] ?? ''
      const at = `${resource}/${id}`
      await alice.put(`${at}/shares`, { shares: [{ userId: who.userId, access: 'write' }] })
      const bulk = await who.post(`${resource}/bulk`, { operations: [{ op: 'update', id, data: mine }] })
      const refused = [
        await who.patch(at, mine),
        await who.patch(at, { ...whole, [member]: member === 'ownerId' ? null : [] }),
        await who.put(at, { ...whole, ...mine }),
        await who.put(`${resource}/by-external-id/${externalId}`, mine),
        await who.post(`${resource}/bulk`, { atomic: true, operations: [{ op: 'update', id, data: mine }] }),
        { status: bulk.body.results[0].status, body: bulk.body.results[0].problem },
        ...(noun === 'task' ? [await who.post(`${at}/assign`, { userIds: [who.userId] })] : []),
      ]
      expect(refused.map(({ status, body }) => [status, body.code, String(body.detail).includes(member)])).toEqual(
        refused.map(() => [403, 'FORBIDDEN', true]),
      )
      // As it is, it may be sent back.
      expect((await who.put(at, { ...whole, ...held })).status).toBe(200)
      expect((await who.patch(at, { ...whole, ...held })).status).toBe(200)
      expect((await alice.get(at)).body).toMatchObject(held)
      expect((await who.delete(at)).status).toBe(403)
      expect((await alice.delete(at)).status).toBe(204)
    }
  })

  test('with a team reaches who is in it, as long as he is', async () => {
    const { id } = await alice.build('contact', { lastName: 'Teamwork' })
    await alice.put(`/contacts/${id}/shares`, { shares: [{ teamId: team.id, access: 'write' }] })
    expect((await owen.patch(`/contacts/${id}`, { jobTitle: 'Chief' })).status).toBe(200)
    await alice.patch(`/users/${owen.userId}`, { teamId: null })
    expect((await owen.get(`/contacts/${id}`)).status).toBe(404)
    await alice.patch(`/users/${owen.userId}`, { teamId: team.id })
    expect((await owen.get(`/contacts/${id}`)).status).toBe(200)
  })

  test('is one change of the record, told in its timeline, and found by the search', async () => {
    const { id } = await alice.build('contact', { lastName: 'Zimbelstern' })
    const shares = [{ userId: owen.userId, access: 'read' }]
    const shared = await alice.put(`/contacts/${id}/shares`, { shares })
    expect(shared.headers.get('ETag')).toBe('"2"')
    expect((await alice.put(`/contacts/${id}/shares`, { shares })).headers.get('ETag')).toBe('"2"')
    await eventually(async () => (await found(owen, 'Zimbelstern')).includes(id), 'the shared contact in the search')
    const told = await eventually(async () => {
      const { data } = (await owen.get(`/timeline/contact/${id}?action=shared`)).body
      return data.length > 0 && data
    }, 'the share in the timeline')
    expect(told).toMatchObject([
      { action: 'shared', changes: [{ field: 'sharedWith', newValue: [{ userId: owen.userId, access: 'read' }] }] },
    ])
    await alice.put(`/contacts/${id}/shares`, { shares: [] })
    await eventually(async () => !(await found(owen, 'Zimbelstern')).includes(id), 'it gone from the search')
  })

  test('is refused for strangers, doubles and nonsense, and leaves nothing half done', async () => {
    const { id } = await alice.build('contact')
    const tried = async (shares: unknown) => {
      const { status, body } = await alice.put(`/contacts/${id}/shares`, { shares })
      return [status, body.errors?.[0]?.path]
    }
    expect(await tried([{ userId: house.charlie.userId, access: 'read' }])).toEqual([400, 'shares.0.userId'])
    expect(await tried([{ teamId: bob.userId, access: 'read' }])).toEqual([400, 'shares.0.teamId'])
    expect(await tried([{ userId: bob.userId, teamId: team.id, access: 'read' }])).toEqual([400, 'shares.0'])
    expect(await tried([{ access: 'read' }])).toEqual([400, 'shares.0'])
    expect(await tried([{ userId: bob.userId, access: 'own' }])).toEqual([400, 'shares.0.access'])
    const twice = { userId: bob.userId, access: 'read' }
    expect(await tried([twice, twice])).toEqual([400, 'shares'])
    expect((await alice.get(`/contacts/${id}/shares`)).body).toEqual({ shares: [] })
    const stale = await alice.put(`/contacts/${id}/shares`, { shares: [twice] }, { 'If-Match': '"9"' })
    expect(stale.status).toBe(412)
    expect((await alice.get(`/contacts/${id}/shares`)).body).toEqual({ shares: [] })
    expect((await house.charlie.put(`/contacts/${id}/shares`, { shares: [] })).status).toBe(404)
  })
})

test('a list pages through what is his, his team’s and shared with him, each once', async () => {
  const own = await Promise.all([1, 2, 3].map(() => owen.build('task', { assigneeIds: [owen.userId] })))
  const both = await alice.build('task', { assigneeIds: [owen.userId, alice.userId] })
  const shared = await alice.build('task', { assigneeIds: [alice.userId] })
  for (const { id } of [both, shared])
    await alice.put(`/tasks/${id}/shares`, {
      shares: [
        { userId: owen.userId, access: 'read' },
        { teamId: team.id, access: 'read' },
      ],
    })
  await alice.build('task', { assigneeIds: [alice.userId] })
  const wanted = [...own, both, shared].map(({ id }) => id).toSorted()
  for (const sort of ['createdAt', '-createdAt', 'title', 'dueAt,-title', '-updatedAt']) {
    const seen: string[] = []
    let cursor = ''
    do {
      const { body } = await owen.get(`/tasks?limit=2&sort=${sort}&count=exact${cursor}`)
      expect([sort, body.page.total]).toEqual([sort, wanted.length])
      seen.push(...body.data.map(({ id }: { id: string }) => id))
      cursor = body.page.nextCursor === null ? '' : `&cursor=${body.page.nextCursor}`
    } while (cursor !== '')
    expect([sort, seen.toSorted()]).toEqual([sort, wanted])
  }
})

test('who is of the team whose records he reads has his own once, in the list and its count', async () => {
  const permissions = ['read', 'create'].map((action) => ({ resource: 'deal', action, scope: 'team' }))
  const role = await alice.build('role', { name: 'Team’s records', permissions })
  const east = await alice.build('team', { name: 'East' })
  const una = await house.join('Una', 'member', { roleId: role.id, teamId: east.id })
  const theo = await house.join('Theo', 'member', { roleId: role.id, teamId: east.id })
  const deals = await Promise.all([una, una, theo].map(async (who) => (await who.build('deal')).id))
  const answer = await una.get('/deals?count=exact')
  expect([answer.body.page.total, ids(answer).toSorted()]).toEqual([3, deals.toSorted()])
})

describe('access', () => {
  test('of a record says who may see it, and why', async () => {
    const { id } = await alice.build('contact', { ownerId: bob.userId })
    await alice.put(`/contacts/${id}/shares`, { shares: [{ userId: owen.userId, access: 'write' }] })
    const { data } = (await bob.get(`/contacts/${id}/access`)).body
    const of = (who: Client) => data.find((one: { userId: string }) => one.userId === who.userId)
    expect(of(alice)).toMatchObject({ role: 'owner', actions: ['read', 'update', 'delete'] })
    expect(of(bob)).toMatchObject({ role: 'member', actions: ['read', 'update', 'delete'] })
    expect(of(owen)).toMatchObject({
      role: 'Own records',
      actions: ['read', 'update'],
      because: 'It is shared to be written',
    })
    await alice.put(`/contacts/${id}/shares`, { shares: [] })
    expect((await owen.get(`/contacts/${id}/access`)).status).toBe(404)
    const later = (await bob.get(`/contacts/${id}/access`)).body.data
    expect(later.map((one: { userId: string }) => one.userId)).not.toContain(owen.userId)
  })

  test('is explained rule by rule, to oneself and to administrators', async () => {
    const { id } = await alice.build('contact')
    const ask = (who: Client, of: Client, action: string, more = `&id=${id}`) =>
      who.get(`/access/explain?userId=${of.userId}&type=contact&action=${action}${more}`)
    expect((await ask(alice, owen, 'read')).body).toEqual({
      allowed: false,
      rules: [
        { rule: 'member', holds: true, because: 'Is an active member of the tenant' },
        { rule: 'role', holds: true, because: 'The role grants read of a contact with the scope own' },
        { rule: 'holder', holds: false, because: 'It belongs to others' },
        { rule: 'share', holds: false, because: 'It is shared with neither them nor their teams' },
      ],
    })
    expect((await ask(alice, bob, 'delete')).body).toMatchObject({ allowed: false })
    expect((await ask(alice, bob, 'read')).body).toMatchObject({ allowed: true })
    expect((await ask(bob, bob, 'create', '')).body).toMatchObject({ allowed: true })
    expect((await ask(bob, alice, 'read')).status).toBe(403)
    expect((await ask(owen, owen, 'read')).status).toBe(404)
    expect((await ask(alice, house.charlie, 'read')).status).toBe(400)
  })
})

const pathOf: Readonly<Record<string, string>> = {
  contact: '/contacts',
  company: '/companies',
  deal: '/deals',
  lead: '/leads',
  task: '/tasks',
  note: '/notes',
  interaction: '/interactions',
  product: '/products',
}
