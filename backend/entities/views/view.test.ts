import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client
let ann: Client
let mary: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
  ann = await house.join('Ann', 'admin')
  mary = await house.join('Mary', 'manager')
})
afterAll(() => house.stop())

const ids = async (who: Client, path: string): Promise<string[]> => {
  const { status, body } = await who.get(path)
  return status === 200 ? body.data.map(({ id }: { id: string }) => id) : [String(status)]
}

describe('a view', () => {
  test('keeps filters, sort and columns, for its owner alone until it is shared', async () => {
    const values = {
      name: ' Big ',
      resource: 'deal',
      filters: { 'value[gte]': 1000, status: ['open'] },
      sort: '-value',
      columns: ['name', 'value'],
    }
    const made = await bob.post('/views', values)
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      ...values,
      name: 'Big',
      shared: 'private',
      isDefault: false,
      ownerId: bob.userId,
      version: 1,
    })
    const at = `/views/${made.body.id}`
    for (const who of [alice, ann, house.charlie]) {
      expect((await who.get(at)).status).toBe(404)
      expect((await who.patch(at, { name: 'x' })).status).toBe(404)
      expect((await who.delete(at)).status).toBe(404)
      expect(await ids(who, '/views')).not.toContain(made.body.id)
    }
    expect((await bob.patch(at, { shared: 'shared' }, { 'If-Match': '"1"' })).body).toMatchObject({
      shared: 'shared',
      version: 2,
    })
    for (const who of [alice, mary]) {
      expect((await who.get(at)).body.name).toBe('Big')
      expect(await ids(who, '/views?resource=deal&shared=shared')).toContain(made.body.id)
    }
    expect((await house.charlie.get(at)).status).toBe(404)
    expect((await mary.patch(at, { name: 'x' })).status).toBe(403)
    expect((await mary.delete(at)).status).toBe(403)
    expect((await ann.patch(at, { name: 'Bigger' })).body.name).toBe('Bigger')
    expect((await bob.patch(at, { name: 'x' }, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await bob.patch(at, { resource: 'task' })).body.errors[0].path).toBe('resource')
    expect((await bob.patch(at, { ownerId: alice.userId })).body.errors[0].path).toBe('ownerId')
    expect((await ann.delete(at)).status).toBe(204)
    expect((await bob.get(at)).status).toBe(404)
  })

  test.each([
    [{ filters: { colour: 'red' } }, 'filters.colour'],
    [{ filters: { 'value[over]': 5 } }, 'filters.value[over]'],
    [{ filters: { value: 'much' } }, 'filters.value'],
    [{ filters: { status: 'gone' } }, 'filters.status'],
    [{ filters: { 'cf.nothing': 1 } }, 'filters.cf.nothing'],
    [{ filters: { limit: 5 } }, 'filters.limit'],
    [{ filters: { sort: 'name' } }, 'filters.sort'],
    [{ filters: { q: 'x' } }, 'filters.q'],
    [{ filters: { status: 'open', 'status[eq]': 'won' } }, 'filters.status[eq]'],
    [{ filters: { ownerId: 'you' } }, 'filters.ownerId'],
    [{ filters: { status: { eq: 'open' } } }, 'filters.status'],
    [{ filters: [] }, 'filters'],
    [{ sort: 'colour' }, 'sort'],
    [{ sort: '' }, 'sort'],
    [{ columns: ['name', 'colour'] }, 'columns.1'],
    [{ columns: 'name' }, 'columns'],
    [{ resource: 'deals' }, 'resource'],
    [{ resource: 'tag' }, 'resource'],
    [{ name: '' }, 'name'],
    [{ shared: true }, 'shared'],
    [{ hint: 'x' }, 'hint'],
  ])('%j is 400', async (values, path) => {
    const answer = await alice.post('/views', { name: 'x', resource: 'deal', ...values })
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
    if (path === 'resource' || path === 'hint') return
    const { id } = await alice.build('view')
    const changed = await alice.patch(`/views/${id}`, values)
    expect([changed.status, changed.body.errors?.[0]?.path]).toEqual([400, path])
  })

  test('is for who may write; a viewer opens what is shared', async () => {
    const vera = await house.join('Vera', 'viewer')
    const shared = await alice.build('view', { shared: 'shared' })
    expect((await vera.post('/views', { name: 'x', resource: 'deal' })).status).toBe(403)
    expect((await vera.get(`/deals?view=${shared.id}`)).status).toBe(200)
    expect((await house.nobody.get('/views')).status).toBe(401)
  })

  test('is walked by name, each once', async () => {
    const dora = await house.join('Dora', 'member')
    for (const name of ['delta', 'Alpha', 'charlie', 'Bravo']) await dora.build('view', { name })
    await alice.build('view', { name: 'Baker', shared: 'shared' })
    const names: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const path: string = `/views?limit=2${cursor && `&cursor=${cursor}`}`
      const { data, page } = (await dora.get(path)).body
      names.push(
        ...data
          .filter((each: { ownerId: string; name: string }) => each.ownerId === dora.userId || each.name === 'Baker')
          .map((each: { name: string }) => each.name),
      )
      cursor = page.nextCursor
    }
    expect(names).toEqual(['Alpha', 'Baker', 'Bravo', 'charlie', 'delta'])
  })

  test('of somebody does not stand in the timeline of others', async () => {
    const { id } = await bob.build('view', { name: 'Secret plan' })
    await bob.timeline('view', id, 1)
    expect((await mary.get(`/timeline/search?q=secret`)).body.data).toEqual([])
    expect((await mary.get(`/views/${id}/timeline`)).body.data).toEqual([])
  })
})

describe('the default', () => {
  test('is one for each owner and resource, and one for everybody by an administrator', async () => {
    const defaults = async (who: Client) =>
      (await who.get('/views?resource=task&limit=200')).body.data
        .filter((each: { isDefault: boolean }) => each.isDefault)
        .map(({ id }: { id: string }) => id)
    const task = (more: object) => ({ resource: 'task', filters: {}, isDefault: true, ...more })
    const first = await bob.build('view', task({ name: 'first' }))
    const deals = await bob.build('view', { isDefault: true })
    const mine = await alice.build('view', task({ name: 'mine' }))
    expect(await defaults(bob)).toEqual([first.id])
    const second = await bob.build('view', task({ name: 'second' }))
    expect(await defaults(bob)).toEqual([second.id])
    await bob.patch(`/views/${first.id}`, { isDefault: true })
    expect(await defaults(bob)).toEqual([first.id])
    expect((await bob.get(`/views/${deals.id}`)).body.isDefault).toBe(true)
    expect((await bob.post('/views', task({ name: 'all', shared: 'shared' }))).status).toBe(403)
    expect((await bob.patch(`/views/${first.id}`, { shared: 'shared' })).status).toBe(403)
    const house1 = await ann.build('view', task({ name: 'all', shared: 'shared' }))
    expect(await defaults(bob)).toEqual(expect.arrayContaining([first.id, house1.id]))
    const house2 = await ann.build('view', task({ name: 'all again', shared: 'shared' }))
    expect((await defaults(bob)).sort()).toEqual([first.id, house2.id].sort())
    expect((await defaults(alice)).sort()).toEqual([mine.id, house2.id].sort())
  })

  test('stays one when several are made at once', async () => {
    const eve = await house.join('Eve', 'member')
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => eve.post('/views', { name, resource: 'note', isDefault: true })),
    )
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    const { data } = (await eve.get('/views?resource=note&shared=private')).body
    expect(data.filter((each: { isDefault: boolean }) => each.isDefault)).toHaveLength(1)
  })
})

describe('a list', () => {
  test('takes a view; what the query says itself goes before', async () => {
    const [low, mid, high] = await Promise.all(
      [10, 20, 30].map((value) => bob.build('deal', { value, source: 'views' })),
    )
    const view = await alice.build('view', {
      filters: { source: 'views', 'value[gte]': 20 },
      sort: '-value',
      shared: 'shared',
    })
    expect(await ids(bob, `/deals?view=${view.id}`)).toEqual([high?.id, mid?.id])
    expect(await ids(bob, `/deals?view=${view.id}&sort=value`)).toEqual([mid?.id, high?.id])
    expect(await ids(bob, `/deals?view=${view.id}&value[gte]=5`)).toEqual([high?.id, mid?.id, low?.id])
    expect(await ids(bob, `/deals?view=${view.id}&value[lt]=30`)).toEqual([mid?.id])
    expect(await ids(bob, `/deals?view=${view.id}&source[eq]=nowhere`)).toEqual([])
    const first = await bob.get(`/deals?view=${view.id}&limit=1`)
    const next = first.body.page.nextCursor
    expect(await ids(bob, `/deals?view=${view.id}&limit=1&cursor=${next}`)).toEqual([mid?.id])
    expect(await ids(bob, `/deals?view=${view.id}&value[gte]=5&cursor=${next}`)).toEqual(['400'])
    await alice.patch(`/views/${view.id}`, { filters: { source: 'views' } })
    expect(await ids(bob, `/deals?view=${view.id}&cursor=${next}`)).toEqual(['400'])
    expect((await bob.get(`/deals?view=${view.id}&count=exact&fields=id`)).body).toMatchObject({
      data: [{ id: high?.id }, { id: mid?.id }, { id: low?.id }],
      page: { total: 3 },
    })
  })

  test('knows whoever opens it as me', async () => {
    const [ours, mine] = [
      await alice.build('task', { assigneeIds: [bob.userId, alice.userId] }),
      await alice.build('task', { assigneeIds: [alice.userId] }),
    ]
    const view = await alice.build('view', { resource: 'task', filters: { assigneeIds: 'me' }, shared: 'shared' })
    expect(await ids(bob, `/tasks?view=${view.id}`)).toEqual([ours.id])
    expect(await ids(alice, `/tasks?view=${view.id}`)).toEqual([mine.id, ours.id])
    expect(await ids(bob, '/tasks?assigneeIds[in]=me')).toEqual([ours.id])
    expect(await ids(bob, '/deals?companyId=me')).toEqual(['400'])
    const { key } = await alice.build('customField', { resource: 'deal', key: 'helper', label: 'Helper', type: 'user' })
    const deal = await alice.build('deal', { customFields: { [String(key)]: bob.userId } })
    expect(await ids(bob, '/deals?cf.helper=me')).toEqual([deal.id])
    expect(await ids(alice, '/deals?cf.helper=me')).toEqual([])
  })

  test('refuses a view that is not for it or not for the caller', async () => {
    const tasks = await alice.build('view', { resource: 'task', filters: {} })
    const hidden = await bob.build('view')
    for (const id of [tasks.id, hidden.id, 'x', '01900000-0000-7000-8000-000000000000', '']) {
      const answer = await alice.get(`/deals?view=${id}`)
      expect([id, answer.status, answer.body.errors[0].path]).toEqual([id, 400, 'view'])
    }
    expect((await bob.get(`/deals?view=${hidden.id}&view=${hidden.id}`)).status).toBe(400)
    expect((await bob.get(`/tags?view=${hidden.id}`)).status).toBe(400)
  })

  test('says what of a view is no longer there', async () => {
    const field = await alice.build('customField', { resource: 'deal', key: 'gone', label: 'Gone', type: 'text' })
    const view = await alice.build('view', { filters: { 'cf.gone': 'x' }, columns: ['cf.gone'] })
    expect(await ids(alice, `/deals?view=${view.id}`)).toEqual([])
    await alice.delete(`/custom-fields/${field.id}`)
    const answer = await alice.get(`/deals?view=${view.id}`)
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, 'cf.gone'])
  })
})
