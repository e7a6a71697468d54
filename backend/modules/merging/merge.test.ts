import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client
let charlie: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob, charlie } = house)
})
afterAll(() => house.stop())

type Made = { id: string; version: number } & Record<string, unknown>

const contact = (values: Record<string, unknown> = {}): Promise<Made> =>
  alice.build('contact', { firstName: null, lastName: 'Lovelace', ...values })

const merged = async (survivor: Made, others: Made[], more: Record<string, unknown> = {}, path = 'contacts') => {
  const answer = await alice.post(`/${path}/${survivor.id}/merge`, { fromIds: others.map(({ id }) => id), ...more })
  expect([answer.status, answer.body.errors]).toEqual([200, undefined])
  return answer.body as Made
}

describe('values', () => {
  test('the survivor keeps its own, takes what it lacks, and unites lists', async () => {
    const a = await contact({
      firstName: 'Ada',
      email: 'ada@example.com',
      tags: ['vip'],
      phone: '1234567',
      customFields: {},
    })
    const b = await contact({
      firstName: 'A.',
      email: 'b@example.com',
      jobTitle: 'Analyst',
      tags: ['b', 'VIP'],
      phones: ['7654321'],
    })
    const c = await contact({
      jobTitle: 'Countess',
      address: { city: 'London' },
      doNotContact: true,
      externalId: `c-${a.id}`,
    })
    const one = await merged(a, [b, c])
    expect(one).toMatchObject({
      id: a.id,
      version: 2,
      firstName: 'Ada',
      email: 'ada@example.com',
      emails: ['b@example.com'],
      phone: '1234567',
      phones: ['7654321'],
      jobTitle: 'Analyst',
      tags: ['vip', 'b', 'VIP'],
      address: { city: 'London' },
      doNotContact: true,
      externalId: `c-${a.id}`,
    })
    expect((await alice.get('/contacts?tags=b')).body.data.map(({ id }: Made) => id)).toContain(a.id)
  })

  test('take says whose value is kept', async () => {
    const a = await contact({ firstName: 'Ada', email: 'ada@example.com', tags: ['a'] })
    const b = await contact({ firstName: 'Augusta', email: 'b@example.com', tags: ['b'] })
    const one = await merged(a, [b], { take: { firstName: b.id, email: b.id, tags: b.id } })
    expect(one).toMatchObject({
      firstName: 'Augusta',
      email: 'b@example.com',
      emails: ['ada@example.com'],
      tags: ['b'],
    })
  })

  test('custom fields go by their key, unique ones too', async () => {
    const fields = [
      { resource: 'contacts', key: 'badge', label: 'Badge', type: 'text', unique: true },
      { resource: 'contacts', key: 'region', label: 'Region', type: 'text' },
    ]
    for (const field of fields)
      expect((await alice.post('/custom-fields', { ...field, resource: 'contact' })).status).toBe(201)
    const a = await contact({ customFields: { region: 'EMEA' } })
    const b = await contact({ customFields: { region: 'APAC', badge: 'B-1' } })
    expect((await merged(a, [b])).customFields).toEqual({ region: 'EMEA', badge: 'B-1' })
    expect((await alice.get('/contacts?cf.badge=B-1')).body.data.map(({ id }: Made) => id)).toEqual([a.id])
    const { body } = await alice.post(`/contacts/${a.id}/unmerge`)
    expect(body.customFields).toEqual({ region: 'EMEA' })
    expect((await alice.get('/contacts?cf.badge=B-1')).body.data.map(({ id }: Made) => id)).toEqual([b.id])
  })

  test('an amount comes with its currency', async () => {
    const a = await alice.build('company', { name: 'Acme' })
    const b = await alice.build('company', { name: 'Acme Ltd', annualRevenue: 12.5, currency: 'GBP' })
    expect(await merged(a, [b], {}, 'companies')).toMatchObject({ annualRevenue: 12.5, currency: 'GBP' })
  })
})

describe('what hangs on them', () => {
  test('moves, with an event each, and comes back', async () => {
    const [a, b] = [await alice.build('company', { name: 'A' }), await alice.build('company', { name: 'B' })]
    const person = await contact({ companyId: b.id })
    const archived = await contact({ companyId: b.id })
    await alice.post(`/contacts/${archived.id}/archive`)
    const sale = await alice.build('deal', { companyId: b.id })
    const child = await alice.build('company', { name: 'Child', parentId: b.id })
    const note = await alice.build('note', {
      related: [
        { type: 'company', id: b.id },
        { type: 'deal', id: sale.id },
      ],
    })
    const both = await alice.build('task', {
      related: [
        { type: 'company', id: b.id },
        { type: 'company', id: a.id },
      ],
    })
    const comment = (await alice.post(`/companies/${b.id}/comments`, { body: 'Hello' })).body
    await merged(a, [b], {}, 'companies')

    expect((await alice.get(`/contacts/${person.id}`)).body).toMatchObject({ companyId: a.id, version: 2 })
    expect((await alice.get(`/contacts/${archived.id}`)).body).toMatchObject({ companyId: a.id, version: 3 })
    expect((await alice.get(`/deals/${sale.id}`)).body.companyId).toBe(a.id)
    expect((await alice.get(`/companies/${child.id}`)).body.parentId).toBe(a.id)
    expect((await alice.get(`/notes/${note.id}`)).body.related[0]).toEqual({ type: 'company', id: a.id })
    expect((await alice.get(`/tasks/${both.id}`)).body.related).toEqual([{ type: 'company', id: a.id }])
    expect((await alice.get(`/companies/${a.id}/comments`)).body.data.map(({ id }: Made) => id)).toEqual([comment.id])
    expect((await alice.get(`/tasks?related=${a.id}`)).body.data).toHaveLength(1)
    const [, moved] = await alice.timeline('contact', person.id, 2)
    expect(moved?.changes).toEqual([{ field: 'companyId', oldValue: b.id, newValue: a.id }])

    const { body } = await alice.post(`/companies/${a.id}/unmerge`)
    expect(body.unmerged).toEqual({ ids: [b.id], kept: [], left: [] })
    expect((await alice.get(`/contacts/${person.id}`)).body.companyId).toBe(b.id)
    expect((await alice.get(`/contacts/${archived.id}`)).body.companyId).toBe(b.id)
    expect((await alice.get(`/deals/${sale.id}`)).body.companyId).toBe(b.id)
    expect((await alice.get(`/companies/${child.id}`)).body.parentId).toBe(b.id)
    expect((await alice.get(`/notes/${note.id}`)).body.related).toEqual(note.related)
    expect((await alice.get(`/tasks/${both.id}`)).body.related).toEqual(both.related)
    expect((await alice.get(`/companies/${b.id}/comments`)).body.data.map(({ id }: Made) => id)).toEqual([comment.id])
    expect((await alice.get(`/tasks?related=${b.id}`)).body.data).toHaveLength(1)
  })

  test('lists of contacts and participants move, and with them the last contact', async () => {
    const [a, b, c] = [await contact(), await contact(), await contact()]
    const sale = await alice.build('deal', { contactIds: [c.id, b.id, a.id] })
    const occurredAt = '2026-01-02T03:04:05.000Z'
    const call = (
      await alice.post('/interactions', { type: 'call', occurredAt, participants: [{ type: 'contact', id: b.id }] })
    ).body
    await merged(a, [b])
    expect((await alice.get(`/deals/${sale.id}`)).body.contactIds).toEqual([c.id, a.id])
    expect((await alice.get(`/deals?contactIds=${a.id}`)).body.data).toHaveLength(1)
    expect((await alice.get(`/interactions/${call.id}`)).body.participants).toEqual([{ type: 'contact', id: a.id }])
    expect((await alice.get(`/contacts/${a.id}`)).body.lastContactedAt).toBe(occurredAt)
    await alice.post(`/contacts/${a.id}/unmerge`)
    expect((await alice.get(`/deals/${sale.id}`)).body.contactIds).toEqual([c.id, b.id, a.id])
    expect((await alice.get(`/contacts/${a.id}`)).body.lastContactedAt).toBeNull()
    expect((await alice.get(`/contacts/${b.id}`)).body.lastContactedAt).toBe(occurredAt)
  })

  test('a deleted deal that comes back refers to the survivor', async () => {
    const [a, b] = [await alice.build('company', { name: 'A' }), await alice.build('company', { name: 'B' })]
    const sale = await alice.build('deal', { companyId: b.id })
    await alice.delete(`/deals/${sale.id}`)
    await merged(a, [b], {}, 'companies')
    expect((await alice.post(`/deals/${sale.id}/restore`)).body.companyId).toBe(a.id)
  })

  test('parents never run in a circle', async () => {
    const make = (name: string, parentId?: string) =>
      alice.build('company', { name, ...(parentId ? { parentId } : {}) })
    const top = await make('Top')
    const b = await make('B', top.id)
    const between = await make('Between', b.id)
    const a = await make('A', between.id)
    await merged(a, [b], {}, 'companies')
    expect((await alice.get(`/companies/${a.id}`)).body.parentId).toBe(top.id)
    expect((await alice.get(`/companies/${between.id}`)).body.parentId).toBe(a.id)
    // By hand: what stood above B comes to stand below what stood below it.
    await alice.patch(`/companies/${a.id}`, { parentId: null })
    expect((await alice.patch(`/companies/${top.id}`, { parentId: between.id })).status).toBe(200)
    const { body } = await alice.post(`/companies/${a.id}/unmerge`)
    expect(body.unmerged).toEqual({
      ids: [b.id],
      kept: ['parentId'],
      left: [{ type: 'company', id: b.id, member: 'parentId' }],
    })
    const parent = async (id: string) => (await alice.get(`/companies/${id}`)).body.parentId
    expect([await parent(top.id), await parent(between.id), await parent(b.id)]).toEqual([between.id, b.id, null])
  })

  test('one that stood below the other stands where that stood, and below it again', async () => {
    const top = await alice.build('company', { name: 'Top' })
    const b = await alice.build('company', { name: 'B', parentId: top.id })
    const between = await alice.build('company', { name: 'Between', parentId: b.id })
    const a = await alice.build('company', { name: 'A', parentId: between.id })
    await merged(a, [b], {}, 'companies')
    expect((await alice.post(`/companies/${a.id}/unmerge`)).body).toMatchObject({
      parentId: between.id,
      unmerged: { kept: [], left: [] },
    })
    expect((await alice.get(`/companies/${between.id}`)).body.parentId).toBe(b.id)
    expect((await alice.get(`/companies/${b.id}`)).body.parentId).toBe(top.id)
  })

  test('what stood above and below another one comes back to where it stood', async () => {
    const make = (parentId?: string) => alice.build('company', parentId ? { parentId } : {})
    const top = await make()
    const between = await make(top.id)
    const [below, a] = [await make(between.id), await make(between.id)]
    await merged(a, [top, below], {}, 'companies')
    expect((await alice.post(`/companies/${a.id}/unmerge`)).body.unmerged).toMatchObject({ kept: [], left: [] })
    const parents = [top, between, below, a].map(async ({ id }) => (await alice.get(`/companies/${id}`)).body.parentId)
    expect(await Promise.all(parents)).toEqual([null, top.id, between.id, between.id])
  })
})

describe('an alias', () => {
  test('answers 307 on every call of a record, never cached', async () => {
    const [a, b] = [await contact({ firstName: 'Ada' }), await contact()]
    await merged(a, [b])
    const calls = [
      ['GET', ''],
      ['GET', '/timeline?limit=5'],
      ['GET', '/duplicates'],
      ['GET', '/comments'],
      ['PATCH', ''],
      ['DELETE', ''],
      ['POST', '/archive'],
      ['POST', '/restore'],
      ['POST', '/unmerge'],
    ] as const
    for (const [method, path] of calls) {
      const body = method === 'PATCH' ? '{"jobTitle":"x"}' : undefined
      const answer = await alice.raw(
        method,
        `/contacts/${b.id}${path}`,
        body,
        body ? { 'content-type': 'application/json' } : {},
      )
      expect([
        method,
        path,
        answer.status,
        answer.headers.get('location'),
        answer.headers.get('cache-control'),
      ]).toEqual([method, path, 307, `/api/v1/contacts/${a.id}${path}`, 'no-store'])
    }
    expect((await alice.get(`/timeline/contact/${b.id}`)).headers.get('location')).toBe(
      `/api/v1/timeline/contact/${a.id}`,
    )
    const followed = await fetch(`${house.url}/api/v1/contacts/${b.id.toUpperCase()}?fields=id`, {
      headers: { authorization: `Bearer ${alice.token}` },
    })
    expect(await followed.json()).toEqual({ id: a.id })
    expect((await charlie.get(`/contacts/${b.id}`)).status).toBe(404)
    expect((await house.nobody.get(`/contacts/${b.id}`)).status).toBe(401)
  })

  test('leaves lists, their cursors and the search', async () => {
    const name = `Zuse${randomUUID().slice(0, 8)}`
    const made: Made[] = []
    for (let n = 0; n < 6; n++) made.push(await contact({ lastName: name, firstName: `N${n}` }))
    const first = (await alice.get(`/contacts?lastName=${name}&sort=firstName&limit=2`)).body
    await eventually(
      async () => (await alice.get(`/search/contacts?q=${name}`)).body.data.length === 6,
      'all in the search',
    )
    await merged(made[0] as Made, [made[2] as Made, made[5] as Made])
    const seen = first.data.map(({ firstName }: Made) => firstName)
    for (let cursor = first.page.nextCursor; cursor; ) {
      const { body } = await alice.get(`/contacts?lastName=${name}&sort=firstName&limit=2&cursor=${cursor}`)
      seen.push(...body.data.map(({ firstName }: Made) => firstName))
      cursor = body.page.nextCursor
    }
    expect(seen).toEqual(['N0', 'N1', 'N3', 'N4'])
    await eventually(
      async () => (await alice.get(`/search/contacts?q=${name}`)).body.data.length === 4,
      'four in the search',
    )
  })

  test('is accepted in references, of which each leads to the survivor', async () => {
    const [a, b] = [await contact(), await contact()]
    const [x, y] = [await alice.build('company', { name: 'X' }), await alice.build('company', { name: 'Y' })]
    await merged(a, [b])
    await merged(x, [y], {}, 'companies')
    const sale = await alice.build('deal', { companyId: y.id, contactIds: [b.id, a.id] })
    expect(sale).toMatchObject({ companyId: x.id, contactIds: [a.id] })
    const patched = await alice.patch(`/deals/${(await alice.build('deal')).id}`, {
      companyId: y.id,
      contactIds: [b.id],
    })
    expect(patched.body).toMatchObject({ companyId: x.id, contactIds: [a.id] })
    const note = await alice.build('note', {
      related: [
        { type: 'contact', id: b.id },
        { type: 'deal', id: sale.id },
      ],
    })
    expect(note.related).toEqual([
      { type: 'contact', id: a.id },
      { type: 'deal', id: sale.id },
    ])
    const operations = [
      { op: 'create', data: { lastName: 'Bulk', companyId: y.id } },
      { op: 'create', data: { lastName: 'Bulk', companyId: y.id } },
      { op: 'update', id: b.id, data: { companyId: y.id } },
    ]
    const { results } = (await alice.post('/contacts/bulk', { operations })).body
    expect(results.map(({ status, record }: { status: number; record: Made }) => [status, record.companyId])).toEqual([
      [201, x.id],
      [201, x.id],
      [200, x.id],
    ])
    expect(results[2].id).toBe(a.id)
    const put = await alice.put(`/deals/${sale.id}`, { name: 'Put', companyId: y.id })
    expect(put.body.companyId).toBe(x.id)
    expect((await charlie.post('/deals', { name: 'x', companyId: y.id })).body.errors[0].path).toBe('companyId')
  })

  test('finds in lists what refers to the survivor', async () => {
    const [a, b] = [await contact(), await contact()]
    const [x, y, other] = [await alice.build('company'), await alice.build('company'), await alice.build('company')]
    await merged(a, [b])
    await merged(x, [y], {}, 'companies')
    const theirs = await alice.build('deal', { companyId: x.id, contactIds: [a.id] })
    const others = await alice.build('deal', { companyId: other.id })
    const note = await alice.build('note', { related: [{ type: 'company', id: x.id }] })
    const found = async (path: string) => {
      const { data, page } = (await alice.get(`${path}&count=exact`)).body
      expect([path, page.total]).toEqual([path, data.length])
      return data.map(({ id }: Made) => id)
    }
    for (const sort of ['', '&sort=name', '&sort=-value,name']) {
      expect(await found(`/deals?companyId=${y.id}${sort}`)).toEqual([theirs.id])
      expect(await found(`/deals?companyId[in]=${y.id},${x.id}${sort}`)).toEqual([theirs.id])
      expect((await found(`/deals?companyId[in]=${y.id},${other.id}${sort}`)).toSorted()).toEqual([
        theirs.id,
        others.id,
      ])
      expect(await found(`/deals?contactIds=${b.id.toUpperCase()}${sort}`)).toEqual([theirs.id])
      expect(await found(`/deals?contactIds[in]=${b.id},${a.id}${sort}`)).toEqual([theirs.id])
      expect(await found(`/deals?companyId[ne]=${y.id}${sort}`)).not.toContain(theirs.id)
      expect(await found(`/deals?contactIds[nin]=${b.id}&companyId[nin]=${other.id}${sort}`)).not.toContain(theirs.id)
    }
    expect(await found(`/notes?related=${y.id}`)).toEqual([note.id])
    expect((await charlie.get(`/deals?companyId=${y.id}`)).body.data).toEqual([])
    expect(await found(`/companies?parentId=${y.id}`)).toEqual([])
  })

  test('of an alias leads to the end, and back as the merges are taken back', async () => {
    const [a, b, c] = [await contact(), await contact(), await contact()]
    await merged(b, [a])
    await merged(c, [b])
    expect((await alice.get(`/contacts/${a.id}`)).headers.get('location')).toBe(`/api/v1/contacts/${c.id}`)
    expect((await alice.build('deal', { contactIds: [a.id] })).contactIds).toEqual([c.id])
    expect((await alice.post(`/contacts/${c.id}/unmerge`)).body.unmerged.ids).toEqual([b.id])
    expect((await alice.get(`/contacts/${a.id}`)).headers.get('location')).toBe(`/api/v1/contacts/${b.id}`)
    expect((await alice.post(`/contacts/${b.id}/unmerge`)).body.unmerged.ids).toEqual([a.id])
    expect((await alice.get(`/contacts/${a.id}`)).status).toBe(200)
    expect((await alice.post(`/contacts/${b.id}/unmerge`)).body).toMatchObject({
      status: 422,
      code: 'NOTHING_TO_UNMERGE',
    })
  })

  test('an external id of the others leads an upsert to the survivor, which keeps its own', async () => {
    const own = randomUUID()
    const theirs = randomUUID()
    const [a, b] = [await contact({ externalId: own }), await contact({ externalId: theirs })]
    await merged(a, [b])
    const upserted = await alice.put(`/contacts/by-external-id/${theirs}`, { jobTitle: 'Countess' })
    expect([upserted.status, upserted.body.id, upserted.body.externalId]).toEqual([200, a.id, own])
    const taken = await contact({ externalId: theirs })
    expect((await alice.put(`/contacts/by-external-id/${theirs}`, { jobTitle: 'x' })).body.id).toBe(taken.id)
    expect((await alice.post(`/contacts/${a.id}/unmerge`)).body).toMatchObject({ status: 409, code: 'DUPLICATE' })
    await alice.delete(`/contacts/${taken.id}`)
    expect((await alice.post(`/contacts/${a.id}/unmerge`)).status).toBe(200)
    expect((await alice.get(`/contacts/${b.id}`)).body.externalId).toBe(theirs)
  })
})

describe('the timeline', () => {
  test('of the survivor shows what was done to the others, page by page, until they are given back', async () => {
    const [a, b] = [await contact({ firstName: 'A' }), await contact({ firstName: 'B' })]
    await alice.patch(`/contacts/${b.id}`, { jobTitle: 'Analyst' })
    await alice.timeline('contact', b.id, 2)
    await merged(a, [b])
    const told = await alice.timeline('contact', a.id, 5)
    expect(told.map(({ entityId, metadata }) => [entityId, (metadata as { verb?: string }).verb])).toEqual([
      [a.id, undefined],
      [b.id, undefined],
      [b.id, undefined],
      [b.id, 'merged_into'],
      [a.id, 'merged'],
    ])
    expect(told[4]?.description).toBe('Alice merged others into the contact “A Lovelace”')
    const walked: string[] = []
    for (let cursor = ''; cursor !== 'end'; ) {
      const { body } = await alice.get(`/contacts/${a.id}/timeline?limit=2${cursor && `&cursor=${cursor}`}`)
      walked.push(...body.data.map(({ id }: Made) => id))
      cursor = body.page.nextCursor ?? 'end'
    }
    expect(walked).toEqual(told.map(({ id }) => id).toReversed())
    await alice.post(`/contacts/${a.id}/unmerge`)
    const apart = await alice.timeline('contact', b.id, 4)
    expect(apart.map(({ action }) => action)).toEqual(['created', 'updated', 'deleted', 'restored'])
    expect((await alice.timeline('contact', a.id, 3)).map(({ entityId }) => entityId)).toEqual([a.id, a.id, a.id])
  })
})

describe('unmerge', () => {
  test('keeps what somebody changed since, and says so', async () => {
    const [a, b] = [await contact({ tags: ['a'] }), await contact({ jobTitle: 'Analyst', source: 'fair', tags: ['b'] })]
    const [one, two, three] = [
      await alice.build('deal', { contactIds: [b.id] }),
      await alice.build('deal', { contactIds: [b.id] }),
      await alice.build('deal', { contactIds: [b.id] }),
    ]
    await merged(a, [b])
    await alice.patch(`/contacts/${a.id}`, { jobTitle: 'Countess', birthday: '1815-12-10' })
    await alice.patch(`/deals/${two.id}`, { contactIds: [] })
    await alice.patch(`/deals/${three.id}`, { name: 'Other' })
    const { body } = await alice.post(`/contacts/${a.id}/unmerge`)
    expect(body).toMatchObject({ jobTitle: 'Countess', birthday: '1815-12-10', source: null, tags: ['a'] })
    expect(body.unmerged).toEqual({
      ids: [b.id],
      kept: ['jobTitle'],
      left: [{ type: 'deal', id: two.id, member: 'contactIds' }],
    })
    expect((await alice.get(`/contacts/${b.id}`)).body).toMatchObject({
      jobTitle: 'Analyst',
      source: 'fair',
      tags: ['b'],
    })
    expect((await alice.get(`/deals/${one.id}`)).body.contactIds).toEqual([b.id])
    expect((await alice.get(`/deals/${two.id}`)).body.contactIds).toEqual([])
    expect((await alice.get(`/deals/${three.id}`)).body.contactIds).toEqual([b.id])
  })

  test('gives one of several back, and the others later', async () => {
    const [a, b, c] = [
      await contact(),
      await contact({ jobTitle: 'B', tags: ['b'] }),
      await contact({ jobTitle: 'C', tags: ['c'] }),
    ]
    const sale = await alice.build('deal', { contactIds: [c.id, b.id] })
    await merged(a, [b, c])
    const some = await alice.post(`/contacts/${a.id}/unmerge`, { ids: [b.id] })
    expect(some.body).toMatchObject({ jobTitle: 'C', tags: ['c'], unmerged: { ids: [b.id], kept: [], left: [] } })
    expect((await alice.get(`/deals/${sale.id}`)).body.contactIds).toEqual([a.id, b.id])
    expect((await alice.get(`/contacts/${c.id}`)).status).toBe(307)
    const rest = await alice.post(`/contacts/${a.id}/unmerge`)
    expect(rest.body).toMatchObject({ jobTitle: null, tags: [], unmerged: { ids: [c.id], kept: [], left: [] } })
    expect((await alice.get(`/deals/${sale.id}`)).body.contactIds).toEqual([c.id, b.id])
  })

  test('is for ids that were merged into it', async () => {
    const [a, b, stranger] = [await contact(), await contact(), await contact()]
    await merged(a, [b])
    const wrong = await alice.post(`/contacts/${a.id}/unmerge`, { ids: [b.id, stranger.id] })
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, 'ids.1'])
    expect((await alice.post(`/contacts/${a.id}/unmerge`, { ids: [] })).status).toBe(400)
    expect((await alice.post(`/contacts/${a.id}/unmerge`, {}, { 'If-Match': '"1"' })).status).toBe(412)
    const twice = await Promise.all([alice.post(`/contacts/${a.id}/unmerge`), alice.post(`/contacts/${a.id}/unmerge`)])
    const statuses = twice.map(({ status }) => status).sort()
    expect(statuses[0]).toBe(200)
    expect([409, 422]).toContain(statuses[1])
  })
})

describe('who may, and what is refused', () => {
  test('strangers, viewers, and who may not change all of them', async () => {
    const vera = await house.join('Vera', 'viewer')
    const [a, b] = [await contact(), await contact()]
    const his = await bob.build('contact')
    const theirs = await charlie.build('contact')
    const at = `/contacts/${a.id}/merge`
    expect((await house.nobody.post(at, { fromIds: [b.id] })).status).toBe(401)
    expect((await charlie.post(at, { fromIds: [b.id] })).status).toBe(404)
    expect((await vera.post(at, { fromIds: [b.id] })).status).toBe(403)
    expect((await bob.post(at, { fromIds: [his.id] })).status).toBe(403)
    expect((await bob.post(`/contacts/${his.id}/merge`, { fromIds: [b.id] })).status).toBe(403)
    const foreign = await alice.post(at, { fromIds: [b.id, theirs.id] })
    expect([foreign.status, foreign.body.errors[0].path]).toEqual([400, 'fromIds.1'])
    expect((await bob.post(`/contacts/${his.id}/merge`, { fromIds: [(await bob.build('contact')).id] })).status).toBe(
      200,
    )
    await merged(a, [b])
    expect((await charlie.post(`/contacts/${a.id}/unmerge`)).status).toBe(404)
    expect((await vera.post(`/contacts/${a.id}/unmerge`)).status).toBe(403)
    expect((await house.nobody.post(`/contacts/${a.id}/unmerge`)).status).toBe(401)
  })

  const broken: [(a: Made, b: Made) => unknown, string][] = [
    [() => ({}), 'fromIds'],
    [() => ({ fromIds: [] }), 'fromIds'],
    [() => ({ fromIds: ['x'] }), 'fromIds.0'],
    [(_a, b) => ({ fromIds: [b.id, b.id] }), 'fromIds'],
    [(a, _b) => ({ fromIds: [a.id] }), 'fromIds.0'],
    [() => ({ fromIds: [randomUUID()] }), 'fromIds.0'],
    [(_a, b) => ({ fromIds: [b.id], take: { shoe: b.id } }), 'take.shoe'],
    [(_a, b) => ({ fromIds: [b.id], take: { name: b.id } }), 'take.name'],
    [(_a, b) => ({ fromIds: [b.id], take: { email: randomUUID() } }), 'take.email'],
    [(_a, b) => ({ fromIds: [b.id], extra: 1 }), 'extra'],
  ]
  test.each(broken)('broken input %# names its member', async (make, path) => {
    const [a, b] = [await contact(), await contact()]
    const answer = await alice.post(`/contacts/${a.id}/merge`, make(a, b))
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, path])
    expect((await alice.get(`/contacts/${b.id}`)).status).toBe(200)
  })

  test('what was merged already, deleted, or changed since it was read', async () => {
    const [a, b, c, d] = [await contact(), await contact(), await contact(), await contact()]
    await merged(a, [b])
    const again = await alice.post(`/contacts/${c.id}/merge`, { fromIds: [b.id] })
    expect([again.status, again.body.errors[0]]).toEqual([
      400,
      expect.objectContaining({ path: 'fromIds.0', message: expect.stringContaining('merged into another') }),
    ])
    await alice.delete(`/contacts/${d.id}`)
    expect((await alice.post(`/contacts/${c.id}/merge`, { fromIds: [d.id] })).status).toBe(400)
    expect((await alice.post(`/contacts/${a.id}/merge`, { fromIds: [c.id] }, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await alice.get(`/contacts/${c.id}`)).status).toBe(200)
    const key = { 'Idempotency-Key': randomUUID() }
    const first = await alice.post(`/contacts/${a.id}/merge`, { fromIds: [c.id] }, key)
    const repeated = await alice.post(`/contacts/${a.id}/merge`, { fromIds: [c.id] }, key)
    expect([first.status, repeated.status, repeated.body]).toEqual([200, 200, first.body])
  })

  test('lists that are longer than a record takes', async () => {
    const many = (name: string) => Array.from({ length: 30 }, (_none, n) => `${name}${n}`)
    const [a, b] = [await contact({ tags: many('a') }), await contact({ tags: many('b') })]
    const refused = await alice.post(`/contacts/${a.id}/merge`, { fromIds: [b.id] })
    expect([refused.status, refused.body.code]).toEqual([422, 'MERGE_TOO_LARGE'])
    expect((await merged(a, [b], { take: { tags: a.id } })).tags).toHaveLength(30)
  })
})

describe('two at once', () => {
  test('of overlapping merges one wins, nothing is half done', async () => {
    for (let round = 0; round < 5; round++) {
      const [a, b, c] = [await contact(), await contact(), await contact()]
      const sale = await alice.build('deal', { contactIds: [b.id] })
      const answers = await Promise.all([
        alice.post(`/contacts/${a.id}/merge`, { fromIds: [b.id] }),
        alice.post(`/contacts/${c.id}/merge`, { fromIds: [b.id] }),
        alice.post(`/contacts/${b.id}/merge`, { fromIds: [a.id] }),
      ])
      const statuses = answers.map(({ status }) => status)
      expect(statuses).toContain(200)
      for (const status of statuses) expect([200, 307, 400, 409]).toContain(status)
      // Whoever won: the deal refers to one that is there, and every id leads to one that is there.
      for (const id of [...(await alice.get(`/deals/${sale.id}`)).body.contactIds])
        expect((await alice.get(`/contacts/${id}`)).status).toBe(200)
      for (const { id } of [a, b, c]) {
        const { status, headers } = await alice.get(`/contacts/${id}`)
        const location = headers.get('location')?.replace('/api/v1', '')
        expect([200, 307]).toContain(status)
        if (location) expect((await alice.get(location)).status).toBe(200)
      }
    }
  })

  test('a reference that is made while its target is merged leads to the survivor', async () => {
    const [a, b] = [await alice.build('company', { name: 'A' }), await alice.build('company', { name: 'B' })]
    const writes = Array.from({ length: 40 }, (_none, n) =>
      n === 20
        ? alice.post(`/companies/${a.id}/merge`, { fromIds: [b.id] })
        : n % 3 === 0
          ? alice.post('/notes', { body: 'x', related: [{ type: 'company', id: b.id }] })
          : n % 3 === 1
            ? alice.post('/deals', { name: 'x', companyId: b.id })
            : alice.post('/contacts', { lastName: 'x', companyId: b.id }),
    )
    const answers = await Promise.all(writes)
    expect(answers.map(({ status }) => status)).toEqual(answers.map((_each, n) => (n === 20 ? 200 : 201)))
    const made = answers.flatMap(({ body }, n) => (n === 20 ? [] : [body]))
    const held = await asOwner(house.ownerUrl, async (owner) => {
      const { rows } = await owner.query(
        `select company_id as target from deals where id = any($1) union all
         select company_id from contacts where id = any($1) union all
         select target_id from record_links where record_id = any($1)`,
        [made.map(({ id }) => id)],
      )
      return rows.map(({ target }) => target)
    })
    expect(held).toEqual(made.map(() => a.id))
  })
})

describe('many references', () => {
  const peopled = async (people: number) => {
    const company = await alice.build('company', { name: 'Big' })
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(
        `insert into contacts (tenant_id, id, last_name, company_id, owner_id, created_at, updated_at)
         select $1, gen_random_uuid(), 'No. ' || n, $2, $3, now(), now() from generate_series(1, $4) n`,
        [alice.tenantId, company.id, alice.userId, people],
      ),
    )
    return company
  }

  test('move with their company, each with its event, and back', async () => {
    const [a, b] = [await alice.build('company', { name: 'Small' }), await peopled(1_000)]
    const count = async (id: string) =>
      (await alice.get(`/contacts?companyId=${id}&count=exact&limit=1`)).body.page.total
    await merged(a, [b], {}, 'companies')
    expect([await count(a.id), await count(b.id)]).toEqual([1_000, 1_000])
    const [person] = (await alice.get(`/contacts?companyId=${a.id}&limit=1`)).body.data
    expect(person.version).toBe(2)
    expect((await alice.timeline('contact', person.id, 1))[0]?.changes).toHaveLength(1)
    const { body } = await alice.post(`/companies/${a.id}/unmerge`)
    expect(body.unmerged).toEqual({ ids: [b.id], kept: [], left: [] })
    expect([await count(a.id), await count(b.id)]).toEqual([0, 1_000])
  })

  test('above the limit are refused, and nothing has changed', async () => {
    const [a, b] = [await alice.build('company', { name: 'Small' }), await peopled(10_001)]
    const refused = await alice.post(`/companies/${a.id}/merge`, { fromIds: [b.id] })
    expect([refused.status, refused.body.code]).toEqual([422, 'MERGE_TOO_LARGE'])
    expect((await alice.get(`/companies/${b.id}`)).body.version).toBe(1)
  })
})
