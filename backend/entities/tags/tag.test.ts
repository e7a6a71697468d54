import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { holdRow } from '../../test/hold.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const tagsNamed = async (name: string, as: Client = alice) => (await as.get(`/tags?name=${name}`)).body.data

test('a member makes, colours and lists tags', async () => {
  const made = await bob.post('/tags', { name: ' gold ', color: '#D4AF37' })
  expect(made.status).toBe(201)
  expect(made.body).toMatchObject({ name: 'gold', color: '#D4AF37', description: null, version: 1 })
  expect((await bob.patch(`/tags/${made.body.id}`, { color: null })).body).toMatchObject({ color: null, version: 2 })
  expect(await tagsNamed('gold')).toHaveLength(1)
  expect(await tagsNamed('gold', house.charlie)).toEqual([])
  expect((await house.charlie.get(`/tags/${made.body.id}`)).status).toBe(404)
})

test.each([
  {},
  { name: '' },
  { name: 'a'.repeat(51) },
  { name: 'x', color: 'red' },
  { name: 'x', icon: 1 },
  { name: 7 },
])('%j is 400', async (body) => expect((await alice.post('/tags', body)).status).toBe(400))

test('a name is taken once', async () => {
  const { id } = await alice.build('tag', { name: 'silver' })
  const again = await alice.post('/tags', { name: 'silver' })
  expect(again.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'name' }] })
  await alice.build('tag', { name: 'bronze' })
  const taken = await alice.patch(`/tags/${id}`, { name: 'bronze' })
  expect(taken.body).toMatchObject({ status: 409, code: 'DUPLICATE', errors: [{ path: 'name' }] })
  expect((await alice.patch(`/tags/${id}`, { name: 'silver' })).body.version).toBe(1)
})

describe('tags of records', () => {
  test('unknown ones are made, each once, on every noun', async () => {
    const nouns = ['contact', 'company', 'deal', 'task', 'note']
    await Promise.all(nouns.map((type) => alice.build(type, { tags: [' fresh ', 'fresh', `of ${type}`] })))
    expect(await tagsNamed('fresh')).toHaveLength(1)
    for (const type of nouns) expect(await tagsNamed(`of ${type}`)).toHaveLength(1)
    const note = await alice.build('note')
    expect((await alice.patch(`/notes/${note.id}`, { tags: ['later', 'fresh'] })).body.tags).toEqual(['later', 'fresh'])
    expect(await tagsNamed('later')).toHaveLength(1)
  })

  test('filters follow what a record has now', async () => {
    const { id } = await alice.build('company', { tags: ['one', 'two'] })
    const found = async (tag: string) => (await alice.get(`/companies?tags=${tag}`)).body.data.length
    await alice.patch(`/companies/${id}`, { tags: ['two', 'three'] })
    expect([await found('one'), await found('two'), await found('three')]).toEqual([0, 1, 1])
    await alice.delete(`/companies/${id}`)
    expect([await found('two'), await found('three')]).toEqual([0, 0])
    await alice.post(`/companies/${id}/restore`)
    expect([await found('one'), await found('two')]).toEqual([0, 1])
  })

  test('at most 50, of at most 50 characters', async () => {
    const many = Array.from({ length: 51 }, (_none, index) => `tag ${index}`)
    expect((await alice.post('/notes', { body: 'x', tags: many })).body.errors[0].path).toBe('tags')
    expect((await alice.build('note', { tags: many.slice(1) })).tags).toHaveLength(50)
    expect((await alice.post('/notes', { body: 'x', tags: ['a'.repeat(51)] })).body.errors[0].path).toBe('tags.0')
    expect((await alice.post('/notes', { body: 'x', tags: [' '] })).status).toBe(400)
  })
})

describe('what is made along with a record', () => {
  test('is told like any other tag, and found', async () => {
    await alice.build('company', { tags: ['zeppelins', 'airships'] })
    const bulk = ['one', 'two'].map((name) => ({ op: 'create', data: { name, tags: ['balloons', `balloon ${name}`] } }))
    await alice.post('/companies/bulk', { operations: bulk })
    for (const name of ['zeppelins', 'airships', 'balloons', 'balloon one', 'balloon two']) {
      const [tag] = await tagsNamed(name)
      const [created] = await alice.timeline('tag', tag.id, 1)
      expect(created).toMatchObject({
        action: 'created',
        entityName: name,
        actor: { id: alice.userId },
        changes: [{ field: 'name', oldValue: null, newValue: name }],
        metadata: { version: 1 },
      })
    }
    const found = await eventually(async () => {
      const { data } = (await alice.get('/tags?q=zeppelins')).body
      return data.length > 0 && data
    }, 'the tag in the quick find')
    expect(found).toMatchObject([{ name: 'zeppelins' }])
  })
})

const tagsOf = async (path: string): Promise<string[]> => (await alice.get(path)).body.tags
const found = async (tag: string): Promise<number> => (await alice.get(`/notes?tags=${tag}`)).body.data.length

describe('a new name', () => {
  test('is taken over by all records that carry it, with version, timeline and search', async () => {
    const note = await alice.build('note', { body: 'Kites', tags: ['first', 'wrong', 'last'] })
    const both = await bob.build('company', { tags: ['wrong', 'right'] })
    const [tag] = await tagsNamed('wrong')
    await alice.delete(`/tags/${(await tagsNamed('right'))[0].id}`)
    expect(await tagsOf(`/companies/${both.id}`)).toEqual(['wrong'])
    const renamed = await alice.patch(`/tags/${tag.id}`, { name: 'right', color: '#d4af37' }, { 'If-Match': '"1"' })
    expect(renamed.body).toMatchObject({ id: tag.id, name: 'right', color: '#d4af37', version: 2 })
    expect((await alice.get(`/notes/${note.id}`)).body).toMatchObject({ tags: ['first', 'right', 'last'], version: 2 })
    expect([await found('wrong'), await found('right')]).toEqual([0, 1])
    expect(await tagsOf(`/companies/${both.id}`)).toEqual(['right'])
    expect(await tagsNamed('wrong')).toEqual([])
    const [, changed] = await alice.timeline('note', note.id, 2)
    expect(changed).toMatchObject({
      action: 'updated',
      actor: { id: alice.userId },
      changes: [{ field: 'tags', oldValue: ['first', 'wrong', 'last'], newValue: ['first', 'right', 'last'] }],
    })
    await eventually(async () => {
      const { data } = (await alice.get('/search?q=kites&tags=right')).body
      return data.length === 1
    }, 'the note in the search under its new tag')
  })

  test('is taken over by a lead that is converted, which else stays as it was', async () => {
    const lead = await alice.build('lead', { tags: ['fair'], source: 'event' })
    expect((await alice.post(`/leads/${lead.id}/convert`)).status).toBe(200)
    const [tag] = await tagsNamed('fair')
    expect((await alice.patch(`/tags/${tag.id}`, { name: 'trade fair' })).status).toBe(200)
    expect((await alice.get(`/leads/${lead.id}`)).body).toMatchObject({ tags: ['trade fair'], status: 'converted' })
    expect((await alice.patch(`/leads/${lead.id}`, { tags: ['other'] })).body.code).toBe('INVALID_TRANSITION')
    expect((await alice.delete(`/tags/${tag.id}`)).status).toBe(204)
    expect(await tagsOf(`/leads/${lead.id}`)).toEqual([])
  })

  test('is refused to who may not change all that carry it, and under a stale version', async () => {
    await alice.build('note', { tags: ['shared'] })
    const [tag] = await tagsNamed('shared')
    const mary = await house.join('Mary', 'manager')
    for (const who of [bob, mary]) {
      expect((await who.patch(`/tags/${tag.id}`, { name: 'mine' })).status).toBe(403)
      expect((await who.delete(`/tags/${tag.id}`)).status).toBe(403)
    }
    const own = await bob.build('tag', { name: 'unused' })
    expect((await bob.patch(`/tags/${own.id}`, { name: 'still unused' })).status).toBe(200)
    expect((await bob.post(`/tags/${own.id}/merge`, { fromIds: [tag.id] })).status).toBe(403)
    expect((await alice.patch(`/tags/${tag.id}`, { name: 'x' }, { 'If-Match': '"9"' })).status).toBe(412)
    expect((await alice.patch(`/tags/${tag.id}`, { name: ' ' })).status).toBe(400)
    expect((await house.charlie.patch(`/tags/${tag.id}`, { name: 'x' })).status).toBe(404)
    expect(await found('shared')).toBe(1)
  })

  test('reaches more records than a request can wait for', async () => {
    const operations = Array.from({ length: 1_000 }, (_none, index) => ({
      op: 'create',
      data: { body: `Note ${index}`, tags: ['many', 'more'] },
    }))
    await alice.post('/notes/bulk', { operations })
    await alice.post('/notes/bulk', { operations: operations.slice(0, 300) })
    const [tag] = await tagsNamed('many')
    expect((await alice.patch(`/tags/${tag.id}`, { name: 'lots' })).status).toBe(200)
    const total = async (name: string) => (await alice.get(`/notes?tags=${name}&count=exact&limit=1`)).body.page.total
    expect(await total('lots')).toBeGreaterThanOrEqual(1_000)
    await eventually(async () => (await total('lots')) === 1_300, 'all records under the new name')
    expect(await total('many')).toBe(0)
    expect(await total('more')).toBe(1_300)
  })
})

describe('tags that are one', () => {
  test('are folded into it', async () => {
    const note = await alice.build('note', { tags: ['big', 'customer', 'large', 'huge'] })
    const other = await alice.build('task', { tags: ['huge'] })
    const [large] = await tagsNamed('large')
    const from = [...(await tagsNamed('big')), ...(await tagsNamed('huge'))].map(({ id }: { id: string }) => id)
    const merged = await alice.post(`/tags/${large.id}/merge`, { fromIds: [...from, from[0]] })
    expect([merged.status, merged.body]).toMatchObject([200, { id: large.id, name: 'large', version: 2 }])
    expect(await tagsOf(`/notes/${note.id}`)).toEqual(['large', 'customer'])
    expect(await tagsOf(`/tasks/${other.id}`)).toEqual(['large'])
    for (const name of ['big', 'huge']) expect(await tagsNamed(name)).toEqual([])
    expect([await found('big'), await found('large')]).toEqual([0, 1])
    const [, told] = await alice.timeline('tag', large.id, 2)
    expect(told).toMatchObject({
      description: 'Alice merged other tags into the tag “large”',
      metadata: { verb: 'merged' },
    })
  })

  test('must be others, and of this tenant', async () => {
    const { id } = await alice.build('tag', { name: 'target' })
    const foreign = await house.charlie.build('tag', { name: 'target' })
    for (const fromIds of [[id], [foreign.id], [], ['x'], 'x', ['01900000-0000-7000-8000-000000000000']]) {
      const answer = await alice.post(`/tags/${id}/merge`, { fromIds })
      expect([fromIds, answer.status, answer.body.errors[0].path]).toEqual([
        fromIds,
        400,
        expect.stringMatching(/^fromIds/),
      ])
    }
    expect((await house.charlie.post(`/tags/${id}/merge`, { fromIds: [foreign.id] })).status).toBe(404)
    expect((await house.nobody.post(`/tags/${id}/merge`, { fromIds: [foreign.id] })).status).toBe(401)
  })

  test('by two at once are folded once', async () => {
    const note = await alice.build('note', { tags: ['left', 'right one'] })
    const [left] = await tagsNamed('left')
    const [right] = await tagsNamed('right one')
    const answers = await Promise.all([
      alice.post(`/tags/${left.id}/merge`, { fromIds: [right.id] }),
      alice.post(`/tags/${right.id}/merge`, { fromIds: [left.id] }),
    ])
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1)
    const [tag] = await tagsOf(`/notes/${note.id}`)
    expect(await tagsNamed(String(tag))).toHaveLength(1)
  })
})

describe('a tag that changes while a record takes it', () => {
  const changes: readonly [string, (id: string) => Promise<{ status: number }>][] = [
    ['renamed', (id) => alice.patch(`/tags/${id}`, { name: `renamed ${id}` })],
    [
      'folded',
      async (id) =>
        alice.post(`/tags/${(await alice.build('tag', { name: `into ${id}` })).id}/merge`, { fromIds: [id] }),
    ],
    ['deleted', (id) => alice.delete(`/tags/${id}`)],
  ]
  const alive = async (names: readonly string[]) =>
    (await Promise.all(names.map((name) => tagsNamed(encodeURIComponent(name))))).every(({ length }) => length === 1)

  test.each(changes)('%s: finds the record whose change began before', async (way, change) => {
    const tag = await alice.build('tag', { name: `before ${way}` })
    const note = await alice.build('note')
    const held = await holdRow(house.ownerUrl, 'notes', note.id)
    const taking = alice.patch(`/notes/${note.id}`, { tags: [`before ${way}`] })
    await held.until(1)
    const changing = change(tag.id)
    await held.until(2, changing)
    await held.release()
    expect([(await taking).status, Math.floor((await changing).status / 100)]).toEqual([200, 2])
    const tags = await tagsOf(`/notes/${note.id}`)
    expect(tags).not.toContain(`before ${way}`)
    expect(await alive(tags)).toBe(true)
  })

  test.each(changes)('%s: lets a record that comes later have a tag of the old name', async (way, change) => {
    const name = `during ${way}`
    const first = await alice.build('note', { tags: [name] })
    const later = await alice.build('note')
    const [tag] = await tagsNamed(name)
    const held = await holdRow(house.ownerUrl, 'notes', first.id)
    const heldLater = await holdRow(house.ownerUrl, 'notes', later.id)
    const changing = change(tag.id)
    await held.until(1)
    const taking = alice.patch(`/notes/${later.id}`, { tags: [name] })
    await held.until(2)
    await held.release()
    expect(Math.floor((await changing).status / 100)).toBe(2)
    await heldLater.release()
    expect((await taking).status).toBe(200)
    expect(await alive(await tagsOf(`/notes/${later.id}`))).toBe(true)
    expect(await alive(await tagsOf(`/notes/${first.id}`))).toBe(true)
  })
})

describe('deleting a tag', () => {
  test('takes it off its records', async () => {
    const note = await alice.build('note', { tags: ['kept', 'dropped'] })
    const [tag] = await tagsNamed('dropped')
    expect((await alice.delete(`/tags/${tag.id}`, undefined, { 'If-Match': '"9"' })).status).toBe(412)
    expect(await found('dropped')).toBe(1)
    expect((await alice.delete(`/tags/${tag.id}`)).status).toBe(204)
    expect(await tagsNamed('dropped')).toEqual([])
    expect((await alice.get(`/notes/${note.id}`)).body).toMatchObject({ tags: ['kept'], version: 2 })
    expect(await found('dropped')).toBe(0)
  })

  test('frees its name; a record that comes back with it makes it anew', async () => {
    const note = await alice.build('note', { tags: ['phoenix'] })
    await alice.delete(`/notes/${note.id}`)
    const [tag] = await tagsNamed('phoenix')
    expect((await alice.delete(`/tags/${tag.id}`)).status).toBe(204)
    await alice.post(`/notes/${note.id}/restore`)
    const [again] = await tagsNamed('phoenix')
    expect(again.id).not.toBe(tag.id)
  })

  test('is not for strangers', async () => {
    const { id } = await alice.build('tag', { name: 'own' })
    expect((await house.charlie.delete(`/tags/${id}`)).status).toBe(404)
    expect((await house.nobody.delete(`/tags/${id}`)).status).toBe(401)
  })
})
