import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually, paths } from '../../test/client.ts'
import { documentOf } from '../../test/openapi-check.ts'

let house: TestApp
let alice: Client
let bob: Client
let charlie: Client
let vera: Client
let ann: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob, charlie } = house)
  vera = await house.join('Vera', 'viewer')
  ann = await house.join('Ann', 'admin')
})
afterAll(() => house.stop())

const at = (who: Client) => `@[${who.email}](${who.userId})`
const say = async (who: Client, id: string, body: string) => (await who.post(`/deals/${id}/comments`, { body })).body
const said = async (id: string, who: Client = alice) => (await who.get(`/deals/${id}/comments`)).body.data

/** What somebody was told about a record, the oldest first, once it is so much. */
const told = (who: Client, id: string, count: number): Promise<string[]> =>
  eventually(async () => {
    const { data } = (await who.get('/notifications?limit=200')).body
    const types = data.filter((entry: { entityId: string }) => entry.entityId === id).map(({ type }: never) => type)
    return types.length >= count && types.reverse()
  }, `${count} notifications`)

describe('on any record', () => {
  test.each(['contact', 'company', 'deal', 'task', 'note'])('of type %s people talk', async (type) => {
    const { id } = await alice.build(type)
    const path = `${paths[type]}/${id}/comments`
    const made = await bob.post(path, { body: ' **Well** ' })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/api/v1/comments/${made.body.id}`)
    expect(made.body).toEqual({
      id: expect.any(String),
      entityType: type,
      entityId: id,
      body: '**Well**',
      authorId: bob.userId,
      mentions: [],
      editedAt: null,
      createdAt: expect.any(String),
      updatedAt: made.body.createdAt,
      version: 1,
    })
    expect((await vera.get(path)).body).toEqual({ data: [made.body], page: { limit: 50, nextCursor: null } })
    expect((await vera.get(`/comments/${made.body.id}`)).body).toEqual(made.body)
    const same = await vera.get(`/comments/${made.body.id}`, { 'If-None-Match': '"1"' })
    expect(same.status).toBe(304)
  })

  test('comments are walked oldest first, each once', async () => {
    const { id } = await alice.build('deal')
    const bodies = Array.from({ length: 7 }, (_none, index) => `Thought ${index}`)
    for (const body of bodies) await say(alice, id, body)
    const walked: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body }: { body: { data: { body: string }[]; page: { nextCursor: string | null } } } = await alice.get(
        `/deals/${id}/comments?limit=3${cursor && `&cursor=${cursor}`}`,
      )
      walked.push(...body.data.map((comment) => comment.body))
      cursor = body.page.nextCursor
    }
    expect(walked).toEqual(bodies)
    const first = (await alice.get(`/deals/${id}/comments?limit=3`)).body.page.nextCursor
    const other = await alice.build('deal')
    expect((await alice.get(`/deals/${other.id}/comments?cursor=${first}`)).status).toBe(400)
  })

  test.each([
    [{}, 'body'],
    [{ body: '' }, 'body'],
    [{ body: ' ' }, 'body'],
    [{ body: 7 }, 'body'],
    [{ body: null }, 'body'],
    [{ body: 'a\0' }, 'body'],
    [{ body: 'x'.repeat(20_001) }, 'body'],
    [{ body: 'x', authorId: 'y' }, 'authorId'],
  ])('%j is 400', async (body, path) => {
    const { id } = await alice.build('deal')
    const answer = await alice.post(`/deals/${id}/comments`, body)
    expect([answer.status, answer.body.errors[0].path]).toEqual([400, path])
  })

  test('who may read it may comment, but viewers; strangers find nothing', async () => {
    const { id } = await alice.build('deal')
    expect((await vera.post(`/deals/${id}/comments`, { body: 'x' })).status).toBe(403)
    expect((await charlie.post(`/deals/${id}/comments`, { body: 'x' })).status).toBe(404)
    expect((await charlie.get(`/deals/${id}/comments`)).status).toBe(404)
    expect((await house.nobody.get(`/deals/${id}/comments`)).status).toBe(401)
    const comment = await say(bob, id, 'x')
    expect((await charlie.get(`/comments/${comment.id}`)).status).toBe(404)
    expect((await charlie.patch(`/comments/${comment.id}`, { body: 'y' })).status).toBe(404)
    expect((await charlie.delete(`/comments/${comment.id}`)).status).toBe(404)
    expect((await alice.get(`/tags/${id}/comments`)).status).toBe(404)
  })

  test('they go with it and come back with it, and are purged with it', async () => {
    const { id } = await alice.build('deal')
    const comment = await say(alice, id, 'x')
    await alice.patch(`/comments/${comment.id}`, { body: 'y' })
    await alice.delete(`/deals/${id}`)
    for (const path of [`/deals/${id}/comments`, `/comments/${comment.id}`, `/comments/${comment.id}/history`])
      expect([path, (await alice.get(path)).status]).toEqual([path, 404])
    expect((await alice.post(`/deals/${id}/comments`, { body: 'x' })).status).toBe(404)
    expect((await alice.patch(`/comments/${comment.id}`, { body: 'z' })).status).toBe(404)
    await alice.post(`/deals/${id}/restore`)
    expect(await said(id)).toHaveLength(1)
    const left = await asOwner(house.ownerUrl, async (owner) => {
      await owner.query('delete from record_links where record_id = $1', [id])
      await owner.query('delete from deals where id = $1', [id])
      return (await owner.query('select 1 from comment_versions where comment_id = $1', [comment.id])).rowCount
    })
    expect(left).toBe(0)
  })

  test('every noun that is commented on is in on it', async () => {
    const document = await documentOf(house.url)
    const commented = Object.keys(document.paths).flatMap(
      (path) => /v1\/(\w+)\/\{id\}\/comments$/.exec(path)?.[1] ?? [],
    )
    const guarded = await asOwner(house.ownerUrl, async (owner) =>
      owner.query("select tgrelid::regclass::text as name from pg_trigger where tgname = 'comments_go_along'"),
    )
    expect(guarded.rows.map(({ name }) => name).sort()).toEqual(commented.sort())
  })

  test('one under an Idempotency-Key is made once', async () => {
    const { id } = await alice.build('deal')
    const send = () => alice.post(`/deals/${id}/comments`, { body: 'once' }, { 'Idempotency-Key': id })
    const [first, second] = [await send(), await send()]
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(await said(id)).toHaveLength(1)
  })
})

describe('what was said', () => {
  test('is changed by its author alone, and what it said before is kept', async () => {
    const { id } = await alice.build('deal')
    const comment = await say(bob, id, 'First')
    const path = `/comments/${comment.id}`
    for (const who of [alice, ann, vera]) expect((await who.patch(path, { body: 'mine' })).status).toBe(403)
    const changed = await bob.patch(path, { body: 'Second' })
    expect(changed.body).toEqual({
      ...comment,
      body: 'Second',
      version: 2,
      editedAt: expect.any(String),
      updatedAt: changed.body.editedAt,
    })
    expect(changed.headers.get('etag')).toBe('"2"')
    expect((await bob.patch(path, { body: 'Second' })).body.version).toBe(2)
    expect((await bob.patch(path, changed.body)).body).toEqual(changed.body)
    expect((await bob.patch(path, { authorId: alice.userId })).body.errors[0].path).toBe('authorId')
    expect((await bob.patch(path, { body: 'Third' }, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await bob.patch(path, { body: 'Third' }, { 'If-Match': '"2"' })).status).toBe(200)
    const { data } = (await vera.get(`${path}/history`)).body
    expect(data).toEqual([
      { version: 2, body: 'Second', writtenAt: changed.body.editedAt },
      { version: 1, body: 'First', writtenAt: comment.createdAt },
    ])
    const newest = (await vera.get(`${path}/history?limit=1`)).body
    expect(newest.data).toEqual(data.slice(0, 1))
    const older = await vera.get(`${path}/history?limit=1&cursor=${newest.page.nextCursor}`)
    expect(older.body).toEqual({ data: data.slice(1), page: { limit: 1, nextCursor: null } })
  })

  test('by two at once is kept twice', async () => {
    const { id } = await alice.build('deal')
    const comment = await say(bob, id, 'First')
    const bodies = ['One', 'Two', 'Three', 'Four']
    await Promise.all(bodies.map((body) => bob.patch(`/comments/${comment.id}`, { body })))
    const { body, version } = (await bob.get(`/comments/${comment.id}`)).body
    const former = (await bob.get(`/comments/${comment.id}/history`)).body.data
    expect(version).toBe(5)
    expect([body, ...former.map((each: { body: string }) => each.body)].sort()).toEqual(['First', ...bodies].sort())
  })

  test('is taken away by its author or an administrator', async () => {
    const mary = await house.join('Mary', 'manager')
    const { id } = await alice.build('deal')
    const [one, two] = [await say(bob, id, 'one'), await say(bob, id, 'two')]
    for (const who of [mary, vera]) expect((await who.delete(`/comments/${one.id}`)).status).toBe(403)
    expect((await bob.delete(`/comments/${one.id}`, undefined, { 'If-Match': '"7"' })).status).toBe(412)
    expect((await bob.delete(`/comments/${one.id}`)).status).toBe(204)
    expect((await ann.delete(`/comments/${two.id}`)).status).toBe(204)
    expect((await ann.delete(`/comments/${two.id}`)).status).toBe(404)
    expect(await said(id)).toEqual([])
  })
})

test('the timeline of the record tells it, and its followers see it live', async () => {
  const { id } = await alice.build('deal', { name: 'Engines' })
  const socket = io(house.url, { path: '/ws', auth: { token: alice.token }, transports: ['websocket'] })
  const seen: { action: string }[] = []
  socket.on('activity:new', (activity) => seen.push(activity))
  expect(await socket.emitWithAck('subscribe', { type: 'deal', id })).toEqual({ ok: true })
  const comment = await say(bob, id, 'Before Christmas')
  await bob.patch(`/comments/${comment.id}`, { body: 'After Christmas' })
  await bob.delete(`/comments/${comment.id}`)
  const [, created, changed, deleted] = await alice.timeline('deal', id, 4)
  expect(created).toMatchObject({
    entityType: 'deal',
    entityId: id,
    entityName: 'Engines',
    action: 'commented',
    description: 'Bob commented on the deal “Engines”',
    changes: [{ field: 'comment', oldValue: null, newValue: 'Before Christmas' }],
    actor: { id: bob.userId, type: 'user', name: 'Bob' },
    metadata: { commentId: comment.id, verb: 'created' },
  })
  expect(changed).toMatchObject({
    action: 'commented',
    changes: [{ field: 'comment', oldValue: 'Before Christmas', newValue: 'After Christmas' }],
  })
  expect(deleted).toMatchObject({ action: 'commented', metadata: { verb: 'deleted' } })
  const { data } = (await alice.get(`/deals/${id}/timeline?action=commented`)).body
  expect(data).toHaveLength(3)
  // The deal's own creation may come to a follower who was quick.
  const live = () => seen.filter(({ action }) => action === 'commented')
  await eventually(async () => live().length >= 3, 'three activities on the socket')
  expect(live()).toHaveLength(3)
  expect((await alice.get(`/deals/${id}`)).body.version).toBe(1)
  socket.close()
})

describe('people are told', () => {
  test('who is mentioned of the mention, the owner else of the comment, each once and never the actor', async () => {
    const { id } = await alice.build('deal', { name: 'Engines', ownerId: bob.userId })
    await told(bob, id, 1)
    const body = `${at(vera)} and again ${at(vera)}, ${at(bob)}, ${at(alice)}: look`
    const comment = await say(alice, id, body)
    expect(comment.mentions).toEqual([vera.userId, bob.userId, alice.userId])
    expect(await told(vera, id, 1)).toEqual(['mention.created'])
    expect(await told(bob, id, 2)).toEqual(['deal.assigned', 'mention.created'])
    await say(alice, id, 'Nobody in particular')
    expect(await told(bob, id, 3)).toEqual(['deal.assigned', 'mention.created', 'comment.created'])
    const entry = (await bob.get('/notifications?type=comment.created')).body.data[0]
    expect(entry).toMatchObject({
      message: 'Alice commented on the deal “Engines”',
      entityType: 'deal',
      actionUrl: `/deals/${id}`,
      data: { commentId: expect.any(String) },
    })
    await say(bob, id, 'My own deal')
    await say(alice, id, 'The last word')
    expect(await told(bob, id, 4)).toEqual(['deal.assigned', 'mention.created', 'comment.created', 'comment.created'])
    expect(await told(alice, id, 0)).toEqual([])
    expect(await told(vera, id, 1)).toHaveLength(1)
  })

  test('the assignees of a task, and who wrote a note', async () => {
    const task = await alice.build('task', { assigneeIds: [bob.userId, ann.userId] })
    await bob.post(`/tasks/${task.id}/comments`, { body: 'On it' })
    expect(await told(ann, task.id, 2)).toEqual(['task.assigned', 'comment.created'])
    expect(await told(bob, task.id, 1)).toEqual(['task.assigned'])
    const note = await alice.build('note')
    await bob.post(`/notes/${note.id}/comments`, { body: 'Interesting' })
    expect(await told(alice, note.id, 1)).toEqual(['comment.created'])
  })

  test('of an edit only who is new in it', async () => {
    const { id } = await bob.build('deal')
    const comment = await say(bob, id, `${at(alice)} look`)
    expect(await told(alice, id, 1)).toEqual(['mention.created'])
    const body = `${at(alice)} and ${at(ann)}, look`
    expect((await bob.patch(`/comments/${comment.id}`, { body })).body.mentions).toEqual([alice.userId, ann.userId])
    expect(await told(ann, id, 1)).toEqual(['mention.created'])
    expect(await told(alice, id, 1)).toEqual(['mention.created'])
  })

  test('who is not of the tenant cannot be mentioned', async () => {
    const { id } = await alice.build('deal')
    const gone = await house.join('Gus', 'member')
    const comment = await say(alice, id, at(gone))
    await alice.delete(`/users/${gone.userId}`)
    for (const who of [charlie, gone, { ...charlie, userId: '01900000-0000-7000-8000-000000000000' }]) {
      const answer = await alice.post(`/deals/${id}/comments`, { body: `Dear ${at(who)} and ${at(bob)}` })
      expect([answer.status, answer.body.errors]).toEqual([
        400,
        [{ path: 'body', message: `${at(who)} mentions nobody of your tenant`, code: 'invalid_reference' }],
      ])
    }
    const edited = await alice.patch(`/comments/${comment.id}`, { body: `Former ${at(gone)}` })
    expect(edited.body.mentions).toEqual([gone.userId])
    const link = await say(alice, id, '@[docs](https://example.com) @[x](y)')
    expect(link.mentions).toEqual([])
    const crowd = Array.from({ length: 101 }, (_none, index) => at({ ...bob, userId: unknown(index) })).join(' ')
    const crowded = await alice.post(`/deals/${id}/comments`, { body: crowd })
    expect(crowded.body.errors[0].message).toMatch(/at most 100/)
  })
})

const unknown = (index: number): string => `01900000-0000-7000-8000-${String(index).padStart(12, '0')}`
