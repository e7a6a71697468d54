import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
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

const query = (parameters: Record<string, string | number>): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value).toWellFormed())}`)
    .join('&')

/** A search once it gives as many hits as it should: the index follows the records within milliseconds. */
const search = (client: Client, parameters: Record<string, string | number>, count: number, path = '/search') =>
  eventually(
    async () => {
      const { status, body } = await client.get(`${path}?${query(parameters)}`)
      expect(status).toBe(200)
      return body.data.length === count && body
    },
    `${count} hits for ${JSON.stringify(parameters)}`,
  )

const titles = (body: { data: { title: string }[] }): string[] => body.data.map(({ title }) => title)

describe('an answer', () => {
  test('says what a hit is called, where it belongs, and where it matches', async () => {
    const company = await alice.build('company', { name: 'Babbage & Sons' })
    const contact = await alice.build('contact', {
      firstName: '<Ada>',
      lastName: 'Wimbledon',
      companyId: company.id,
      jobTitle: 'Wimbledon <Champion>',
      tags: ['vip'],
    })
    const body = await search(alice, { q: 'wimbledon' }, 1)
    expect(body).toEqual({
      data: [
        {
          type: 'contact',
          id: contact.id,
          title: '<Ada> Wimbledon',
          subtitle: 'Babbage & Sons',
          score: expect.any(Number),
          highlights: {
            title: ['&lt;Ada&gt; <mark>Wimbledon</mark>'],
            lastName: ['<mark>Wimbledon</mark>'],
            jobTitle: ['<mark>Wimbledon</mark> &lt;Champion&gt;'],
          },
          tags: ['vip'],
          updatedAt: contact.updatedAt,
        },
      ],
      facets: { type: { contact: 1 }, tags: { vip: 1 }, ownerId: { [alice.userId]: 1 } },
      page: { limit: 20, offset: 0, total: 1 },
      engine: 'postgres',
      degraded: false,
    })
  })

  test('begins with the titles that are what was typed, then those that begin so, then the rest', async () => {
    await alice.build('company', { name: 'Foo Umbra' })
    await alice.build('company', { name: 'Umbrage' })
    await alice.build('company', { name: 'Umbra' })
    await alice.build('task', { title: 'Call them', description: 'umbra umbra umbra' })
    expect(titles(await search(alice, { q: 'umbra' }, 4))).toEqual(['Umbra', 'Umbrage', 'Foo Umbra', 'Call them'])
  })

  test('is narrowed by type, tags, owner, assignee and date, and counts what it could be narrowed to', async () => {
    const own = { lastName: 'Narrowwood' }
    await alice.build('contact', { ...own, firstName: 'A', tags: ['red', 'blue'] })
    await alice.build('contact', { ...own, firstName: 'B', tags: ['blue'], ownerId: bob.userId })
    await alice.build('task', { title: 'Narrowwood call', assigneeIds: [bob.userId, alice.userId], tags: ['red'] })
    const q = 'narrowwood'
    expect((await search(alice, { q }, 3)).facets).toEqual({
      type: { contact: 2, task: 1 },
      tags: { red: 2, blue: 2 },
      ownerId: { [alice.userId]: 1, [bob.userId]: 1 },
    })
    await search(alice, { q, types: 'task' }, 1)
    await search(alice, { q, types: 'task,contact' }, 3)
    await search(alice, { q }, 2, '/search/contacts')
    await search(alice, { q, tags: 'red' }, 2)
    await search(alice, { q, tags: 'red,blue' }, 3)
    await search(alice, { q, tags: 'green' }, 0)
    expect(titles(await search(alice, { q, ownerId: bob.userId }, 1))).toEqual(['B Narrowwood'])
    await search(alice, { q, assigneeId: alice.userId }, 1)
    await search(alice, { q, createdAfter: '2020-01-01', createdBefore: '2100-01-01T00:00:00+02:00' }, 3)
    await search(alice, { q, createdBefore: '2020-01-01' }, 0)
    await search(alice, { tags: 'green' }, 0)
    await search(alice, { tags: 'blue', types: 'contact' }, 2)
  })

  test('comes in pages and in the order that was asked for', async () => {
    for (const name of ['Ebbing 1', 'Ebbing 3', 'Ebbing 2', 'Ebbing 5', 'Ebbing 4']) await alice.build('deal', { name })
    await search(alice, { q: 'ebbing' }, 5)
    expect(titles(await search(alice, { q: 'ebbing', sort: 'title' }, 5)).join()).toBe(
      'Ebbing 1,Ebbing 2,Ebbing 3,Ebbing 4,Ebbing 5',
    )
    expect(titles(await search(alice, { q: 'ebbing', sort: '-createdAt', limit: 2 }, 2))).toEqual([
      'Ebbing 4',
      'Ebbing 5',
    ])
    const second = await search(alice, { q: 'ebbing', sort: '-createdAt', limit: 2, offset: 2 }, 2)
    expect(titles(second)).toEqual(['Ebbing 2', 'Ebbing 3'])
    expect(second.page).toEqual({ limit: 2, offset: 2, total: 5 })
    await search(alice, { q: 'ebbing', offset: 5 }, 0)
  })

  test('to what is not offered is 400', async () => {
    const wrong = [
      'limit=0',
      'limit=101',
      'limit=x',
      'offset=-1',
      'offset=181',
      'offset=200&limit=1',
      'types=invoice',
      'types=',
      'sort=name',
      'ownerId=me',
      'createdAfter=yesterday',
      'createdAfter=2026-13-01',
      'createdAfter=0000-01-01',
      'createdBefore=0000-12-31T23:59:59Z',
      'page=1',
      'q=a&q=b',
      'tags=',
      'tags=%00',
    ]
    for (const text of wrong) expect([text, (await alice.get(`/search?${text}`)).status]).toEqual([text, 400])
    expect((await alice.get('/search/contacts?types=deal')).status).toBe(400)
    expect((await alice.get('/search/suggest')).status).toBe(400)
    expect((await house.nobody.get('/search?q=a')).status).toBe(401)
  })

  test('holds nothing of another tenant', async () => {
    await alice.build('contact', { firstName: 'Secretia', lastName: 'Hidden', tags: ['secretia'] })
    await search(alice, { q: 'secretia' }, 1)
    await charlie.build('contact', { firstName: 'Public', lastName: 'Open' })
    await search(charlie, { q: 'public' }, 1)
    for (const parameters of [{ q: 'secretia' }, { q: 'secretai' }, { tags: 'secretia' }, { ownerId: alice.userId }]) {
      expect((await charlie.get(`/search?${query(parameters)}`)).body).toMatchObject({ data: [], facets: { type: {} } })
    }
    expect((await charlie.get('/search/suggest?q=secretia')).body.data).toEqual([])
    expect((await charlie.get('/contacts?q=secretia')).body.data).toEqual([])
    expect((await charlie.get('/search')).body.facets.type).toEqual({ contact: 1 })
  })
})

describe('a change', () => {
  test('shows at once where it takes something away: deleted, renamed, given to another', async () => {
    const deal = await alice.build('deal', { name: 'Vanishing act', tags: ['brief'] })
    const at = `/deals/${deal.id}`
    await search(alice, { q: 'vanishing' }, 1)
    await alice.patch(at, { name: 'Another act' })
    expect(titles((await alice.get('/search?q=vanishing')).body)).not.toContain('Vanishing act')
    await search(alice, { q: 'vanishing' }, 0)
    await search(alice, { q: 'another', ownerId: alice.userId }, 1)
    await alice.patch(at, { ownerId: bob.userId, tags: [] })
    expect((await alice.get(`/search?q=another&ownerId=${alice.userId}`)).body).toMatchObject({
      data: [],
      page: { total: 0 },
    })
    expect((await alice.get('/search?q=another&tags=brief')).body.data).toEqual([])
    await search(alice, { q: 'another', ownerId: bob.userId }, 1)
    await alice.delete(at)
    const gone = (await alice.get('/search?q=another')).body
    expect(gone).toMatchObject({ data: [], facets: { type: {}, ownerId: {} }, page: { total: 0 } })
    await alice.post(`${at}/restore`)
    await search(alice, { q: 'another' }, 1)
    await alice.post(`${at}/archive`)
    await search(alice, { q: 'another' }, 1)
  })

  test('of a company shows in what belongs to it', async () => {
    const company = await alice.build('company', { name: 'Oldname Ltd' })
    await alice.build('contact', { firstName: 'Subtle', companyId: company.id })
    await search(alice, { q: 'subtle' }, 1)
    await alice.patch(`/companies/${company.id}`, { name: 'Newname Ltd' })
    expect((await alice.get('/search?q=subtle')).body.data[0].subtitle).toBe('Newname Ltd')
    await alice.delete(`/companies/${company.id}`)
    expect((await alice.get('/search?q=subtle')).body.data[0].subtitle).toBe(null)
  })
})

describe('the other calls', () => {
  test('every list has its quick find', async () => {
    await alice.build('task', { title: 'Polish the lantern' })
    await alice.build('team', { name: 'Lantern team' })
    await alice.build('tag', { name: 'lantern' })
    await alice.build('pipeline', { name: 'Lantern leases' })
    for (const path of ['/tasks', '/teams', '/tags', '/pipelines']) {
      for (const q of ['lant', 'lanterm', 'LANTÉRN']) await search(alice, { q }, 1, path)
    }
    await search(alice, { q: 'alice' }, 1, '/users')
    await search(alice, { q: 'bob' }, 1, '/users')
    await search(alice, { q: bob.email }, 1, '/users')
    await search(alice, { q: 'lantern', status: 'completed' }, 0, '/tasks')
    await search(charlie, { q: 'lantern' }, 0, '/tasks')
  })

  test('suggestions are the best few', async () => {
    const { id } = await alice.build('contact', { firstName: 'Percival', lastName: 'Grail' })
    const { data } = await search(alice, { q: 'perci' }, 1, '/search/suggest')
    expect(data).toEqual([
      { type: 'contact', id, title: 'Percival Grail', subtitle: null, highlight: '<mark>Percival</mark> Grail' },
    ])
    await search(alice, { q: 'percival', types: 'deal' }, 0, '/search/suggest')
  })

  test('admins look after the index, others do not', async () => {
    const { id } = await alice.build('note', { body: 'Remember the obelisk' })
    await search(alice, { q: 'obelisk' }, 1)
    for (const [method, path, body] of [
      ['post', '/search/index', { type: 'note', id }],
      ['post', '/search/bulk-index', { type: 'note', ids: [id] }],
      ['delete', `/search/index/note/${id}`, undefined],
      ['get', '/search/status', undefined],
    ] as const) {
      expect((await (method === 'get' ? bob.get(path) : bob[method](path, body))).status).toBe(403)
    }
    expect((await alice.delete(`/search/index/note/${id}`)).status).toBe(204)
    await search(alice, { q: 'obelisk' }, 0)
    expect((await alice.post('/search/index', { type: 'note', id })).status).toBe(204)
    await search(alice, { q: 'obelisk' }, 1)
    expect((await charlie.post('/search/index', { type: 'note', id })).status).toBe(404)
    expect((await charlie.delete(`/search/index/note/${id}`)).status).toBe(204)
    await search(alice, { q: 'obelisk' }, 1)
    const other = '01920000-0000-7000-8000-000000000000'
    const many = await alice.post('/search/bulk-index', { type: 'note', ids: [id, other] })
    expect(many.body).toEqual({ indexed: 1, missing: [other] })
    const status = (await alice.get('/search/status')).body
    expect(status).toMatchObject({ engine: 'postgres', degraded: false, parked: 0, waitingSince: { bulk: null } })
    expect(status.documents.note).toBeGreaterThan(0)
  })
})
