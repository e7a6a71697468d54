import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, paths } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

/** The versions of a record's events in the log. */
const versionsOf = (id: string): Promise<number[]> =>
  asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query('select version from events where record_id = $1 order by version', [id])
    return rows.map((row) => row.version)
  })

const pathsOf = (answer: { body: { errors?: { path: string }[] } }) => answer.body.errors?.map((error) => error.path)

describe('create', () => {
  test('answers 201 with Location, ETag and the record', async () => {
    const answer = await alice.post('/contacts', { firstName: 'Ada', email: 'ada@example.com' })
    expect(answer.status).toBe(201)
    const { id, createdAt } = answer.body
    expect(answer.headers.get('location')).toBe(`/api/v1/contacts/${id}`)
    expect(answer.headers.get('etag')).toBe('"1"')
    expect(answer.body).toMatchObject({
      version: 1,
      name: 'Ada',
      createdById: alice.userId,
      ownerId: alice.userId,
      updatedAt: createdAt,
      externalId: null,
      stage: 'prospect',
      tags: [],
      customFields: {},
      archivedAt: null,
    })
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect((await alice.get(`/contacts/${id}`)).body).toEqual(answer.body)
  })

  test.each([
    ['contacts', {}, 'firstName'],
    ['contacts', { firstName: null, phone: '1' }, 'firstName'],
    ['companies', {}, 'name'],
    ['companies', { name: null }, 'name'],
    ['deals', { value: 5 }, 'name'],
    ['tasks', {}, 'title'],
    ['notes', { pinned: true }, 'body'],
  ])('%s need what is required: %j', async (path, body, member) => {
    const answer = await alice.post(`/${path}`, body)
    expect([answer.status, pathsOf(answer)]).toEqual([400, [member]])
  })

  test('one of firstName, lastName, email is enough for a contact', async () => {
    for (const body of [{ firstName: 'Ada' }, { lastName: 'Lovelace' }, { email: 'ada@example.com' }])
      expect((await alice.post('/contacts', body)).body.name).toBe(Object.values(body)[0])
  })

  test('names every member that it does not know, and each that is wrong', async () => {
    const body = { firstName: 7, nick: 'x', address: { planet: 'Earth' }, id: 'x', deletedAt: null, tags: 'vip' }
    const answer = await alice.post('/contacts', body)
    expect(answer.status).toBe(400)
    expect(pathsOf(answer)?.sort()).toEqual(['address.planet', 'deletedAt', 'firstName', 'id', 'nick', 'tags'])
  })
})

describe('PATCH', () => {
  test('absent leaves, null clears, a value sets', async () => {
    const { id } = await alice.build('contact', {
      firstName: 'Ada',
      jobTitle: 'Analyst',
      address: { street: '12 Square', city: 'London' },
      consent: { email: true },
      tags: ['vip'],
    })
    const at = `/contacts/${id}`
    const answer = await alice.patch(at, { jobTitle: null, lastName: 'King', address: { street: null, country: 'UK' } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).toBe('"2"')
    expect(answer.body).toMatchObject({
      firstName: 'Ada',
      lastName: 'King',
      name: 'Ada King',
      jobTitle: null,
      address: { city: 'London', country: 'UK' },
      consent: { email: true },
      tags: ['vip'],
      version: 2,
    })
    expect(answer.body.address).not.toHaveProperty('street')
    expect((await alice.patch(at, { address: null, tags: [] })).body).toMatchObject({ address: null, tags: [] })
    expect((await alice.patch(at, { address: { city: 'Bath' } })).body.address).toEqual({ city: 'Bath' })
  })

  test('merges custom fields by key', async () => {
    for (const key of ['one', 'two']) await alice.build('customField', { resource: 'company', key, label: key })
    const { id } = await alice.build('company', { customFields: { one: 'a', two: 'b' } })
    const patch = async (customFields: unknown) =>
      (await alice.patch(`/companies/${id}`, { customFields })).body.customFields
    expect(await patch({ one: 'c' })).toEqual({ one: 'c', two: 'b' })
    expect(await patch({ two: null })).toEqual({ one: 'c' })
    expect(await patch({})).toEqual({ one: 'c' })
    const answer = await alice.patch(`/companies/${id}`, { customFields: { three: 1, one: 'd' } })
    expect([answer.status, pathsOf(answer)]).toEqual([400, ['customFields.three']])
  })

  test('null for what must have a value is 400', async () => {
    const { id } = await alice.build('company')
    for (const member of ['name', 'tags', 'customFields'])
      expect([member, pathsOf(await alice.patch(`/companies/${id}`, { [member]: null }))]).toEqual([member, [member]])
  })

  test('a contact keeps one of the members that it needs', async () => {
    const { id } = await alice.build('contact', { firstName: 'Ada', lastName: null })
    const answer = await alice.patch(`/contacts/${id}`, { firstName: null })
    expect([answer.status, pathsOf(answer)]).toEqual([400, ['firstName']])
    expect((await alice.patch(`/contacts/${id}`, { firstName: null, lastName: 'King' })).body.name).toBe('King')
  })

  test('that changes nothing makes neither version nor event', async () => {
    const made = await alice.build('contact', {
      email: 'same@example.com',
      address: { city: 'London' },
      birthday: '1815-12-10',
      tags: ['a', 'b'],
      leadScore: 5,
    })
    const at = `/contacts/${made.id}`
    const same = [
      {},
      made,
      { address: { city: 'London' } },
      { address: {} },
      { customFields: {} },
      { tags: ['a', 'b'] },
      { email: ' same@example.com ' },
      { jobTitle: null },
    ]
    for (const body of same) {
      const answer = await alice.patch(at, body)
      expect([answer.status, answer.body]).toEqual([200, made])
      expect(answer.headers.get('etag')).toBe('"1"')
    }
    expect((await alice.put(at, made)).body).toEqual(made)
    const deal = await alice.build('deal', { value: 0.1, expectedCloseDate: '2026-12-01' })
    expect((await alice.patch(`/deals/${deal.id}`, deal)).body).toEqual(deal)
    const task = await alice.build('task', { dueAt: '2026-12-01T08:00:00+01:00', checklist: [{ text: 'x' }] })
    expect((await alice.patch(`/tasks/${task.id}`, task)).body).toEqual(task)
    expect([await versionsOf(made.id), await versionsOf(deal.id), await versionsOf(task.id)]).toEqual([[1], [1], [1]])
  })

  test('ignores read-only members that are equal and refuses those that differ', async () => {
    const deal = await alice.build('deal')
    const readOnly = {
      id: deal.id,
      version: 1,
      createdAt: deal.createdAt,
      status: 'open',
      weightedValue: 100,
      archivedAt: null,
    }
    expect((await alice.patch(`/deals/${deal.id}`, { ...readOnly, name: 'New' })).body).toMatchObject({
      name: 'New',
      version: 2,
    })
    for (const [member, value] of Object.entries({
      id: alice.userId,
      version: 1,
      createdAt: '2020-01-01T00:00:00.000Z',
      createdById: null,
      status: 'won',
      weightedValue: '100',
      archivedAt: '\ud800',
      updatedAt: '\0',
    })) {
      const answer = await alice.patch(`/deals/${deal.id}`, { [member]: value, name: 'Other' })
      expect([member, answer.status, pathsOf(answer)]).toEqual([member, 400, [member]])
    }
    expect((await alice.get(`/deals/${deal.id}`)).body).toMatchObject({ name: 'New', version: 2 })
  })
})

describe('PUT', () => {
  test('replaces the writable members: what is absent is gone or back to its default', async () => {
    const { id } = await alice.build('contact', {
      firstName: 'Ada',
      jobTitle: 'Analyst',
      stage: 'customer',
      address: { street: '12 Square', city: 'London' },
      tags: ['vip'],
      doNotContact: true,
    })
    const { body, status } = await alice.put(`/contacts/${id}`, { lastName: 'King', address: { city: 'Bath' } })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      firstName: null,
      lastName: 'King',
      jobTitle: null,
      stage: 'prospect',
      address: { city: 'Bath' },
      tags: [],
      doNotContact: false,
      version: 2,
    })
    expect((await alice.get('/contacts?tags=vip')).body.data).toEqual([])
  })

  test.each(['contact', 'company', 'deal', 'lead'])('of a %s leaves it with its owner', async (noun) => {
    const made = await alice.build(noun, { ownerId: bob.userId })
    const at = `${paths[noun]}/${made.id}`
    const whole = { [noun === 'company' || noun === 'deal' ? 'name' : 'lastName']: 'Put' }
    expect((await alice.put(at, whole)).body).toMatchObject({ ownerId: bob.userId, version: 2 })
    expect((await alice.put(at, { ...whole, ownerId: null })).body.ownerId).toBeNull()
    expect((await alice.put(at, whole)).body).toMatchObject({ ownerId: null, version: 3 })
  })

  test('asks for what is required and refuses what a create would', async () => {
    const { id } = await alice.build('company')
    expect(pathsOf(await alice.put(`/companies/${id}`, {}))).toEqual(['name'])
    expect(pathsOf(await alice.put(`/companies/${id}`, { name: 'x', nick: 1 }))).toEqual(['nick'])
    const contact = await alice.build('contact')
    expect(pathsOf(await alice.put(`/contacts/${contact.id}`, { jobTitle: 'x' }))).toEqual(['firstName'])
  })

  test('of a deal leaves it in its stage', async () => {
    const deal = await alice.build('deal', { value: 5 })
    await alice.post(`/deals/${deal.id}/win`)
    const { body } = await alice.put(`/deals/${deal.id}`, { name: 'Put' })
    expect(body).toMatchObject({ name: 'Put', status: 'won', value: null, pipelineId: deal.pipelineId })
  })
})

describe('preconditions', () => {
  test('a stale If-Match is 412 and nothing has changed', async () => {
    const note = await alice.build('note')
    const at = `/notes/${note.id}`
    expect((await alice.patch(at, { body: 'two' }, { 'If-Match': '"1"' })).body.version).toBe(2)
    for (const tag of ['"1"', '"3"', '"0", "1"', 'W/"2"', '"x"', '""']) {
      for (const answer of [
        await alice.patch(at, { body: 'three' }, { 'If-Match': tag }),
        await alice.put(at, { body: 'three' }, { 'If-Match': tag }),
        await alice.delete(at, undefined, { 'If-Match': tag }),
      ])
        expect([tag, answer.status, answer.body.code]).toEqual([tag, 412, 'PRECONDITION_FAILED'])
    }
    expect((await alice.get(at)).body).toMatchObject({ body: 'two', version: 2 })
    expect((await alice.patch(at, { body: 'three' }, { 'If-Match': '"1", "2"' })).status).toBe(200)
    expect((await alice.patch(at, { body: 'four' }, { 'If-Match': '*' })).status).toBe(200)
    expect((await alice.delete(at, undefined, { 'If-Match': '"4"' })).status).toBe(204)
  })

  test('a malformed If-Match is 400', async () => {
    const note = await alice.build('note')
    for (const tag of ['1', '"1', 'w/"1"', '"1" "2"', '"1",,"2"', '']) {
      const answer = await alice.patch(`/notes/${note.id}`, { body: 'x' }, { 'If-Match': tag })
      expect([tag, answer.status, pathsOf(answer)]).toEqual([tag, 400, ['If-Match']])
    }
  })

  test('of two changes from the same version one wins', async () => {
    const note = await alice.build('note')
    const answers = await Promise.all(
      ['one', 'two', 'three'].map((body) => alice.patch(`/notes/${note.id}`, { body }, { 'If-Match': '"1"' })),
    )
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412, 412])
    expect(await versionsOf(note.id)).toEqual([1, 2])
  })

  test('If-None-Match that knows the version gives 304 without a body', async () => {
    const note = await alice.build('note')
    for (const tag of ['"1"', 'W/"1"', '"7", "1"', '*']) {
      const answer = await alice.get(`/notes/${note.id}`, { 'If-None-Match': tag })
      expect([tag, answer.status, answer.body, answer.headers.get('etag')]).toEqual([tag, 304, '', '"1"'])
    }
    expect((await alice.get(`/notes/${note.id}`, { 'If-None-Match': '"2"' })).status).toBe(200)
    expect((await alice.get(`/notes/${note.id}?fields=id`, { 'If-None-Match': '"1"' })).status).toBe(200)
  })
})

describe('delete, restore, archive', () => {
  test('a deleted record is not there until it is restored', async () => {
    const { id } = await alice.build('company', { name: 'Phoenix', tags: ['vip'], externalId: 'phoenix' })
    const at = `/companies/${id}`
    const gone = await alice.delete(at)
    expect([gone.status, gone.body]).toEqual([204, ''])
    for (const answer of [
      await alice.get(at),
      await alice.patch(at, { name: 'x' }),
      await alice.put(at, { name: 'x' }),
      await alice.delete(at),
      await alice.post(`${at}/archive`),
    ])
      expect([answer.status, answer.body.code]).toEqual([404, 'NOT_FOUND'])
    const back = await alice.post(`${at}/restore`)
    expect([back.status, back.headers.get('etag')]).toEqual([200, '"3"'])
    expect(back.body).toMatchObject({ name: 'Phoenix', tags: ['vip'], externalId: 'phoenix', version: 3 })
    expect((await alice.post(`${at}/restore`)).body.version).toBe(3)
    expect(await versionsOf(id)).toEqual([1, 2, 3])
  })

  test('archiving twice is one change', async () => {
    const { id } = await alice.build('task')
    const first = await alice.post(`/tasks/${id}/archive`)
    const second = await alice.post(`/tasks/${id}/archive`)
    expect(second.body).toEqual(first.body)
    expect((await alice.patch(`/tasks/${id}`, { title: 'Still writable' })).status).toBe(200)
    expect((await alice.post(`/tasks/${id}/unarchive`)).body.archivedAt).toBeNull()
    expect((await alice.post(`/tasks/${id}/unarchive`)).body.version).toBe(4)
    expect(await versionsOf(id)).toEqual([1, 2, 3, 4])
  })

  test("another tenant's record is not there", async () => {
    const { id } = await alice.build('note')
    const at = `/notes/${id}`
    const { charlie } = house
    for (const answer of [
      await charlie.get(at),
      await charlie.patch(at, { body: 'x' }),
      await charlie.put(at, { body: 'x' }),
      await charlie.delete(at),
      await charlie.post(`${at}/restore`),
      await charlie.post(`${at}/archive`),
    ])
      expect(answer.status).toBe(404)
    expect((await alice.get(at)).body.version).toBe(1)
  })
})
