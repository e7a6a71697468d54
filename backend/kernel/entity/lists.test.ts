import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let dora: Client

beforeAll(async () => {
  house = await startTestApp()
  dora = await house.found('Initech', 'Dora')
})
afterAll(() => house.stop())

const idsOf = (answer: { body: { data: { id: string }[] } }): string[] => answer.body.data.map((record) => record.id)

describe('a page', () => {
  test('has 50 records unless limit says otherwise, and a cursor while there are more', async () => {
    const dave = await house.found('Pages', 'Dave')
    const operations = Array.from({ length: 51 }, (_none, index) => ({
      op: 'create',
      data: { title: `Task ${index}` },
    }))
    await dave.post('/tasks/bulk', { operations })
    const { body } = await dave.get('/tasks')
    expect([body.data.length, body.page.limit]).toEqual([50, 50])
    expect(body.page.nextCursor).toEqual(expect.any(String))
    const rest = await dave.get(`/tasks?cursor=${body.page.nextCursor}`)
    expect([rest.body.data.length, rest.body.page.nextCursor]).toEqual([1, null])
    expect((await dave.get('/tasks?limit=51')).body.page).toEqual({ limit: 51, nextCursor: null })
    expect((await dave.get('/tasks?limit=1')).body.data).toHaveLength(1)
    expect((await dave.get('/tasks?limit=200')).body.data).toHaveLength(51)
  })

  test('counts on request, and only then', async () => {
    const dave = await house.found('Counts', 'Dave')
    for (const industry of ['tea', 'tea', 'rum']) await dave.build('company', { industry })
    expect((await dave.get('/companies')).body.page).not.toHaveProperty('total')
    expect((await dave.get('/companies?count=exact&limit=1')).body.page).toMatchObject({ limit: 1, total: 3 })
    expect((await dave.get('/companies?count=exact&industry=tea')).body.page.total).toBe(2)
    expect((await dave.get('/companies?count=exact&industry=gin')).body.page).toEqual({
      limit: 50,
      nextCursor: null,
      total: 0,
    })
    const first = await dave.get('/companies?count=exact&limit=2')
    const second = await dave.get(`/companies?count=exact&limit=2&cursor=${first.body.page.nextCursor}`)
    expect(second.body.page).toEqual({ limit: 2, nextCursor: null, total: 3 })
  })

  test('counts exactly to 10,000, and says that there are more', async () => {
    const dave = await house.found('Crowd', 'Dave')
    const insert = (count: number) =>
      asOwner(house.ownerUrl, (client) =>
        client.query(
          `insert into companies (tenant_id, id, name, currency, created_at, updated_at)
           select $1, gen_random_uuid(), 'Company ' || n, 'USD', now(), now() from generate_series(1, $2::integer) n`,
          [dave.tenantId, count],
        ),
      )
    await insert(10_000)
    expect((await dave.get('/companies?count=exact&limit=1')).body.page).not.toHaveProperty('totalIsLowerBound')
    expect((await dave.get('/companies?count=exact&limit=1')).body.page.total).toBe(10_000)
    await insert(1)
    const { page } = (await dave.get('/companies?count=exact&limit=1')).body
    expect(page).toMatchObject({ total: 10_000, totalIsLowerBound: true })
  })

  test('holds nothing of another tenant', async () => {
    const note = await dora.build('note')
    expect(idsOf(await dora.get('/notes'))).toEqual([note.id])
    expect(idsOf(await house.charlie.get('/notes'))).toEqual([])
  })
})

describe('sparse records', () => {
  test('fields gives these members and no others, without an ETag', async () => {
    const { id } = await dora.build('contact', { firstName: 'Sparse', email: 'sparse@example.com' })
    const one = await dora.get(`/contacts/${id}?fields=id,email`)
    expect(one.body).toEqual({ id, email: 'sparse@example.com' })
    expect(one.headers.has('etag')).toBe(false)
    expect((await dora.get('/contacts?firstName=Sparse&fields=email')).body.data).toEqual([
      { email: 'sparse@example.com' },
    ])
  })

  test('include brings the related records beside any fields', async () => {
    const company = await dora.build('company', { name: 'Included' })
    const other = await dora.build('company', { name: 'Other' })
    const contact = await dora.build('contact', { firstName: 'Inca', companyId: company.id })
    const second = await dora.build('contact', { firstName: 'Inca', companyId: other.id })
    const alone = await dora.build('contact', { firstName: 'Inca' })
    const whole = await dora.get(`/contacts/${contact.id}?include=company,owner,createdBy`)
    expect(whole.body).toMatchObject({
      id: contact.id,
      companyId: company.id,
      company: { id: company.id, name: 'Included' },
      owner: { id: dora.userId },
      createdBy: { id: dora.userId },
    })
    expect(whole.headers.has('etag')).toBe(false)
    for (const fields of ['', '&fields=id', '&fields=firstName', '&fields=companyId,firstName']) {
      const { data } = (await dora.get(`/contacts?firstName=Inca&sort=createdAt&include=company${fields}`)).body
      expect(data.map((record: { company: { id: string } | null }) => record.company?.id ?? null)).toEqual([
        company.id,
        other.id,
        null,
      ])
      if (fields === '&fields=firstName') expect(Object.keys(data[0]).sort()).toEqual(['company', 'firstName'])
    }
    const sparse = await dora.get(`/contacts/${second.id}?include=company&fields=firstName`)
    expect(sparse.body).toMatchObject({ firstName: 'Inca', company: { id: other.id } })
    expect(Object.keys(sparse.body)).toHaveLength(2)
    expect((await dora.get(`/contacts/${alone.id}?include=company`)).body.company).toBeNull()
  })

  test('include of several gives a list, and leaves out what is deleted', async () => {
    const [ada, bea] = await Promise.all(['Ada', 'Bea'].map((firstName) => dora.build('contact', { firstName })))
    const deal = await dora.build('deal', { contactIds: [ada?.id, bea?.id] })
    await dora.delete(`/contacts/${bea?.id}`)
    const { body } = await dora.get(`/deals/${deal.id}?include=contacts,pipeline`)
    expect(body.contacts.map((contact: { id: string }) => contact.id)).toEqual([ada?.id])
    expect(body.contactIds).toEqual([ada?.id, bea?.id])
    expect(body.pipeline.id).toBe(deal.pipelineId)
  })
})

describe('quick find', () => {
  test('finds by prefix and through a typo, within the filters', async () => {
    const { id } = await dora.build('company', { name: 'Waterloo Engineering', industry: 'machines' })
    const found = (q: string) => async () => {
      const list = idsOf(await dora.get(`/companies?q=${encodeURIComponent(q)}`))
      return list.includes(id) && list
    }
    await eventually(found('waterloo'), 'the company under its name')
    await eventually(found('water engi'), 'the company under prefixes')
    await eventually(found('Waterlo Enginering'), 'the company through typos')
    expect(idsOf(await dora.get('/companies?q=waterloo&industry=bakery'))).toEqual([])
    expect((await dora.get('/companies?q=waterloo&count=exact')).body.page.total).toBe(1)
    expect(idsOf(await house.charlie.get('/companies?q=waterloo'))).toEqual([])
  })

  test('is offered by every list', async () => {
    await dora.build('tag', { name: 'quickly-found' })
    const others = ['contacts', 'companies', 'deals', 'tasks', 'notes', 'pipelines', 'custom-fields', 'teams', 'users']
    for (const path of others) expect([path, (await dora.get(`/${path}?q=zzz`)).status]).toEqual([path, 200])
    const look = async () => (await dora.get('/tags?q=quick')).body.data.length === 1
    await eventually(look, 'the tag by its prefix')
  })
})

describe('what left the lists', () => {
  test('an archived record is found by its id and on request only', async () => {
    const dave = await house.found('Archive', 'Dave')
    const kept = await dave.build('note')
    const { id } = await dave.build('note', { tags: ['old'] })
    expect((await dave.post(`/notes/${id}/archive`)).body.archivedAt).toEqual(expect.any(String))
    expect(idsOf(await dave.get('/notes'))).toEqual([kept.id])
    expect(idsOf(await dave.get('/notes?tags=old'))).toEqual([])
    expect(idsOf(await dave.get('/notes?archivedAt[isNull]=false'))).toEqual([id])
    expect(idsOf(await dave.get('/notes?archivedAt[isNull]=false&tags=old'))).toEqual([id])
    expect(idsOf(await dave.get('/notes?archivedAt[isNull]=true'))).toEqual([kept.id])
    expect((await dave.get('/notes?archivedAt[isNull]=false&count=exact')).body.page.total).toBe(1)
    expect((await dave.get(`/notes/${id}`)).status).toBe(200)
    await dave.post(`/notes/${id}/unarchive`)
    expect(idsOf(await dave.get('/notes?sort=createdAt'))).toEqual([kept.id, id])
  })

  test('a deleted record leaves every list at once', async () => {
    const dave = await house.found('Deleted', 'Dave')
    const { id } = await dave.build('task', { tags: ['gone'], assigneeIds: [dave.userId] })
    await dave.post(`/tasks/${id}/archive`)
    await dave.delete(`/tasks/${id}`)
    for (const query of ['', 'tags=gone', 'archivedAt[isNull]=false', `assigneeIds=${dave.userId}`, 'sort=dueAt'])
      expect([query, idsOf(await dave.get(`/tasks?${query}`))]).toEqual([query, []])
    expect((await dave.get('/tasks?count=exact')).body.page.total).toBe(0)
    await dave.post(`/tasks/${id}/restore`)
    await dave.post(`/tasks/${id}/unarchive`)
    for (const query of ['', 'tags=gone', `assigneeIds=${dave.userId}`, 'sort=dueAt'])
      expect([query, idsOf(await dave.get(`/tasks?${query}`))]).toEqual([query, [id]])
  })
})
