import sql from 'sql-template-tag'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deal as dealEntity } from '../../entities/deals/deal.entity.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import { createLogger } from '../../kernel/log.ts'
import type { Scope } from '../../kernel/rights.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { countUnread, listEntries } from './notification.queries.ts'
import type { Notification } from './notification.ts'
import { notifierSubscription } from './notifier.ts'

let house: TestApp
let alice: Client
let bob: Client
let charlie: Client
let mary: Client
let tim: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob, charlie } = house)
  mary = await house.join('Mary', 'manager')
  tim = await house.join('Tim', 'member', { managerId: mary.userId })
})
afterAll(() => house.stop())

test('who gets a deal is told, and nobody of what he did himself', async () => {
  const deal = await alice.build('deal', { name: 'Ten engines', ownerId: bob.userId })
  const [told] = await inbox(bob, deal.id, 1)
  expect(told).toEqual({
    id: expect.any(String),
    type: 'deal.assigned',
    title: 'Deal assigned to you',
    message: 'Alice assigned the deal “Ten engines” to you',
    priority: 'normal',
    entityType: 'deal',
    entityId: deal.id,
    actionLabel: 'Open the deal',
    actionUrl: `/deals/${deal.id}`,
    data: {},
    read: false,
    readAt: null,
    snoozedUntil: null,
    expiresAt: null,
    createdAt: deal.createdAt,
  })
  await alice.patch(`/deals/${deal.id}`, { ownerId: tim.userId, name: 'Twelve engines' })
  expect(await inbox(tim, deal.id, 1)).toMatchObject([
    { type: 'deal.assigned', message: 'Alice assigned the deal “Twelve engines” to you' },
  ])
  await tim.patch(`/deals/${deal.id}`, { name: 'Thirteen engines' })
  const own = await bob.build('deal')
  await settled()
  expect(await inbox(bob, deal.id, 1)).toHaveLength(1)
  expect(await inbox(tim, deal.id, 1)).toHaveLength(1)
  expect(await inbox(bob, own.id, 0)).toEqual([])
})

test.each(['contact', 'company', 'lead'])('who gets a %s is told', async (type) => {
  const record = await alice.build(type, { ownerId: bob.userId })
  const name = String(record.name)
  expect(await inbox(bob, record.id, 1)).toMatchObject([
    { type: `${type}.assigned`, message: `Alice assigned the ${type} “${name}” to you`, entityType: type },
  ])
  const path = type === 'company' ? 'companies' : `${type}s`
  await alice.patch(`/${path}/${record.id}`, { ownerId: alice.userId })
  await alice.patch(`/${path}/${record.id}`, { ownerId: tim.userId })
  expect(types(await inbox(tim, record.id, 1))).toEqual([`${type}.assigned`])
  await settled()
  expect(await inbox(bob, record.id, 1)).toHaveLength(1)
  expect(await inbox(alice, record.id, 0)).toEqual([])
})

test('a deal that is won or lost in any way is told to its owner and to his manager', async () => {
  const { data } = (await alice.get('/pipelines')).body
  const stageOf = (kind: string): string => data[0].stages.find((stage: { kind: string }) => stage.kind === kind).id
  const won = await tim.build('deal')
  await tim.post(`/deals/${won.id}/win`)
  expect(await inbox(mary, won.id, 1)).toMatchObject([{ type: 'deal.won', message: 'Tim won the deal “200 engines”' }])
  const moved = await tim.build('deal')
  await alice.patch(`/deals/${moved.id}`, { stageId: stageOf('won') })
  const lost = await tim.build('deal')
  await mary.post(`/deals/${lost.id}/lose`, { reason: 'too dear' })
  const born = await alice.build('deal', { ownerId: tim.userId, stageId: stageOf('won') })
  expect(types(await inbox(tim, moved.id, 1))).toEqual(['deal.won'])
  expect(types(await inbox(mary, moved.id, 1))).toEqual(['deal.won'])
  expect(types(await inbox(tim, lost.id, 1))).toEqual(['deal.lost'])
  expect(types(await inbox(tim, born.id, 2))).toEqual(['deal.assigned', 'deal.won'])
  await settled()
  expect(await inbox(tim, won.id, 0)).toEqual([])
  expect(await inbox(mary, lost.id, 0)).toEqual([])
})

test('a task is told to who is new on it, and when it is completed to its creator and the others', async () => {
  const task = await alice.build('task', { assigneeIds: [bob.userId, alice.userId] })
  expect(types(await inbox(bob, task.id, 1))).toEqual(['task.assigned'])
  await alice.post(`/tasks/${task.id}/assign`, { userIds: [bob.userId, tim.userId] })
  expect(types(await inbox(tim, task.id, 1))).toEqual(['task.assigned'])
  await bob.post(`/tasks/${task.id}/complete`)
  expect(types(await inbox(alice, task.id, 1))).toEqual(['task.completed'])
  expect(types(await inbox(tim, task.id, 2))).toEqual(['task.assigned', 'task.completed'])
  expect(types(await inbox(bob, task.id, 1))).toEqual(['task.assigned'])
})

test('who was deactivated is told nothing', async () => {
  const gone = await house.join('Gus', 'member')
  await alice.patch(`/users/${gone.userId}`, { active: false })
  const deal = await bob.build('deal')
  const task = await alice.build('task', { assigneeIds: [tim.userId] })
  await asOwner(house.ownerUrl, (client) =>
    client.query('update deals set owner_id = $1 where id = $2', [gone.userId, deal.id]),
  )
  await alice.post(`/deals/${deal.id}/win`)
  await inbox(tim, task.id, 1)
  await settled()
  expect(await count('select count(*) from notifications where user_id = $1', [gone.userId])).toBe(0)
})

test('nobody is told of a record that he may not read', async () => {
  const { db } = house.app.database
  const deal = await alice.build('deal', { ownerId: bob.userId })
  const [event] = await db.worker.query<{ json: DomainEvent }>(sql`
    select json_build_object('id', e.id, 'tenantId', e.tenant_id, 'name', e.name, 'type', e.type, 'recordId', e.record_id, 'lane', 'live',
      'actor', e.actor, 'changes', e.changes, 'record', e.record, 'data', e.data) as json from events e where e.record_id = ${deal.id}`)
  if (!event) throw new Error('the deal left no event')
  const foundUnder = async (scope: Scope) => {
    const rightsOf = async () => (user: { id: string }) => ({ userId: user.id, role: 'own', scope: () => scope })
    const deps = { db, log: createLogger('silent'), entities: new Map([['deal', dealEntity]]), rightsOf }
    return (await notifierSubscription(deps).prepare([event.json])).length
  }
  expect(await foundUnder({ userIds: [alice.userId] })).toBe(0)
  expect(await foundUnder('none')).toBe(0)
  expect(await foundUnder({ userIds: [bob.userId] })).toBe(1)
})

test('what a bulk call brings is summed up in one entry, over all batches', async () => {
  const operations = Array.from({ length: 1000 }, (_, index) => ({
    op: 'create',
    data: { name: `Deal ${index}`, ownerId: index % 250 === 0 ? bob.userId : tim.userId },
  }))
  expect((await alice.post('/deals/bulk', { operations })).status).toBe(200)
  const summed = (who: Client, message: string) =>
    eventually(async () => {
      const { data } = (await who.get('/notifications?type=deal.assigned&limit=200')).body
      return data.find((entry: Notification) => entry.message === message)
    }, message)
  expect(await summed(tim, '996 deals were assigned to you')).toMatchObject({
    entityType: 'deal',
    entityId: null,
    actionUrl: '/deals',
    data: { count: 996 },
  })
  await summed(bob, '4 deals were assigned to you')
  const { body } = await alice.post('/deals/bulk', {
    operations: [{ op: 'create', data: { name: 'Single', ownerId: bob.userId } }],
  })
  expect(await inbox(bob, body.results[0].id, 1)).toMatchObject([
    { message: 'Alice assigned the deal “Single” to you' },
  ])
})

test('an inbox is read, marked and emptied', async () => {
  const ina = await house.join('Ina', 'member')
  const ids = await filled(ina, 5)
  const [first = '', second = '', third = ''] = ids
  expect(await unread(ina)).toBe(5)
  const read = await ina.patch(`/notifications/${first}/read`)
  expect(read.body).toMatchObject({ id: first, read: true, readAt: expect.any(String) })
  expect((await ina.patch(`/notifications/${first}/read`)).body).toEqual(read.body)
  expect((await ina.get(`/notifications/${first}`)).body).toEqual(read.body)
  expect(await unread(ina)).toBe(4)
  expect((await ina.get('/notifications?unreadOnly=true')).body.data).toHaveLength(4)
  expect((await ina.get('/notifications?unreadOnly=false')).body).toMatchObject({
    unreadCount: 4,
    page: { limit: 50, nextCursor: null },
  })
  expect((await ina.patch(`/notifications/${first}/unread`)).body).toMatchObject({ read: false, readAt: null })
  expect((await ina.delete(`/notifications/${first}`)).status).toBe(204)
  expect((await ina.get(`/notifications/${first}`)).status).toBe(404)
  expect((await ina.delete(`/notifications/${first}`)).status).toBe(404)
  expect((await ina.delete('/notifications', { ids: [first, second, third] })).body).toEqual({ deleted: 2 })
  expect((await ina.post('/notifications/mark-all-read')).body).toEqual({ updated: 2 })
  expect((await ina.post('/notifications/mark-all-read')).body).toEqual({ updated: 0 })
  expect(await unread(ina)).toBe(0)
})

test('what sleeps or has expired is neither listed nor counted', async () => {
  const ida = await house.join('Ida', 'member')
  const [sleeping = '', expired = '', awake = ''] = await filled(ida, 3)
  const until = new Date(Date.now() + 3_600_000).toISOString()
  expect((await ida.post(`/notifications/${sleeping}/snooze`, { until })).body).toMatchObject({
    id: sleeping,
    snoozedUntil: until,
  })
  await asOwner(house.ownerUrl, (client) =>
    client.query("update notifications set expires_at = now() - interval '1 s' where id = $1", [expired]),
  )
  const list = (await ida.get('/notifications')).body
  expect([list.data.map(({ id }: Notification) => id), list.unreadCount]).toEqual([[awake], 1])
  expect((await ida.get(`/notifications/${sleeping}`)).status).toBe(200)
  expect((await ida.post('/notifications/mark-all-read')).body).toEqual({ updated: 1 })
  await asOwner(house.ownerUrl, (client) =>
    client.query('update notifications set snoozed_until = now() where id = $1', [sleeping]),
  )
  expect((await ida.get('/notifications?unreadOnly=true')).body).toMatchObject({
    data: [{ id: sleeping, read: false }],
    unreadCount: 1,
  })
  for (const body of [{}, { until: 'soon' }, { until: '2020-01-01T00:00:00Z' }, { until: null }, { until, why: 'x' }]) {
    expect([body, (await ida.post(`/notifications/${awake}/snooze`, body)).status]).toEqual([body, 400])
  }
})

test('an inbox is its owner’s alone', async () => {
  const ira = await house.join('Ira', 'member')
  const [id = ''] = await filled(ira, 1)
  for (const stranger of [alice, charlie]) {
    const answers = await Promise.all([
      stranger.get(`/notifications/${id}`),
      stranger.patch(`/notifications/${id}/read`),
      stranger.patch(`/notifications/${id}/unread`),
      stranger.post(`/notifications/${id}/snooze`, { until: '2100-01-01T00:00:00Z' }),
      stranger.delete(`/notifications/${id}`),
    ])
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404])
    expect((await stranger.delete('/notifications', { ids: [id] })).body).toEqual({ deleted: 0 })
  }
  for (const path of ['/notifications', '/notifications/unread-count', '/users/me/notifications']) {
    expect((await house.nobody.get(path)).status).toBe(401)
  }
  expect((await ira.get(`/notifications/${id}`)).body).toMatchObject({ read: false, snoozedUntil: null })
  expect((await ira.get('/notifications/x')).status).toBe(404)
})

test('the same calls stand under users/me', async () => {
  const ivy = await house.join('Ivy', 'member')
  const [first = '', second = ''] = await filled(ivy, 2)
  const me = '/users/me/notifications'
  expect((await ivy.get(me)).body).toEqual((await ivy.get('/notifications')).body)
  expect((await ivy.patch(`${me}/${first}/read`)).status).toBe(200)
  expect((await ivy.get(`${me}/unread-count`)).body).toEqual({ unreadCount: 1 })
  expect((await ivy.patch(`${me}/${first}/unread`)).status).toBe(200)
  expect((await ivy.post(`${me}/mark-all-read`)).body).toEqual({ updated: 2 })
  expect((await ivy.post(`${me}/${first}/snooze`, { until: '2100-01-01T00:00:00Z' })).status).toBe(200)
  expect((await ivy.delete(`${me}/${first}`)).status).toBe(204)
  expect((await ivy.delete(me, { ids: [second] })).body).toEqual({ deleted: 1 })
})

test('pages and filters', async () => {
  const ian = await house.join('Ian', 'member')
  const ids = await filled(ian, 7)
  const deal = await alice.build('deal', { ownerId: ian.userId })
  await inbox(ian, deal.id, 1)
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body } = await ian.get(`/notifications?type=task.assigned&limit=3${cursor && `&cursor=${cursor}`}`)
    seen.push(...body.data.map(({ id }: Notification) => id))
    cursor = body.page.nextCursor
  }
  expect(seen).toEqual(ids.toReversed())
  expect((await ian.get('/notifications?type=deal.assigned&priority=normal')).body.data).toMatchObject([
    { entityId: deal.id },
  ])
  expect((await ian.get('/notifications?priority=urgent')).body.data).toEqual([])
  expect((await ian.get('/notifications?type=own.thing')).body.data).toEqual([])
  const page = (await ian.get('/notifications?limit=1')).body.page.nextCursor
  for (const query of [
    'type=x',
    'priority=loud',
    'unreadOnly=1',
    'limit=0',
    'cursor=x',
    'read=true',
    `unreadOnly=true&cursor=${page}`,
  ]) {
    const answer = await ian.get(`/notifications?${query}`)
    expect([query, answer.status, answer.body.code]).toEqual([query, 400, 'VALIDATION_FAILED'])
  }
  for (const body of [undefined, {}, { ids: [] }, { ids: ['x'] }, { ids: 'x' }, { ids, more: 1 }]) {
    expect([body, (await ian.delete('/notifications', body)).status]).toEqual([body, 400])
  }
})

test('a repeated call under an idempotency key gives the first answer', async () => {
  const ivo = await house.join('Ivo', 'member')
  await filled(ivo, 2)
  const headers = { 'Idempotency-Key': 'once' }
  expect((await ivo.post('/notifications/mark-all-read', undefined, headers)).body).toEqual({ updated: 2 })
  const again = await ivo.post('/notifications/mark-all-read', undefined, headers)
  expect([again.body, again.headers.get('idempotent-replayed')]).toEqual([{ updated: 2 }, 'true'])
})

test('the log tells the sockets of each change, and counts exactly when many happen at once', async () => {
  const iris = await house.join('Iris', 'member')
  const ids = await filled(iris, 8)
  await Promise.all(ids.map((id) => iris.patch(`/notifications/${id}/read`)))
  await Promise.all(ids.slice(0, 4).map((id) => iris.patch(`/notifications/${id}/unread`)))
  await iris.post('/notifications/mark-all-read')
  await iris.delete('/notifications', { ids: ids.slice(0, 2) })
  await iris.delete(`/notifications/${ids[2]}`)
  const events = await asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query(
      `select name, record_id as id, record is null as bare, (data ->> 'unreadCount')::int as count from events
       where data ->> 'userId' = $1 and type = 'notification' order by tx, seq`,
      [iris.userId],
    )
    return rows
  })
  const counts = (name: string) => events.filter((event) => event.name === name).map(({ count }) => count)
  expect(counts('notification.created')).toHaveLength(8)
  expect(counts('notification.updated')).toEqual([7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 0])
  expect(counts('notification.deleted')).toEqual([0, 0])
  expect(events.filter(({ bare }) => bare).map(({ name }) => name)).toEqual([
    'notification.updated',
    'notification.deleted',
  ])
  expect((await iris.get('/timeline/search?q=notification')).body.data).toEqual([])
})

test('events that are read again tell nobody a second time', async () => {
  const deal = await alice.build('deal', { ownerId: bob.userId })
  await inbox(bob, deal.id, 1)
  await asOwner(house.ownerUrl, (client) =>
    client.query(`update event_cursors set tx = '0', seq = 0 where subscription = 'notifications' and lane = 0`),
  )
  const last = await alice.build('deal', { ownerId: bob.userId })
  await inbox(bob, last.id, 1)
  expect(await inbox(bob, deal.id, 1)).toHaveLength(1)
})

test('under row-level security lists and the count read hardly more than they show', async () => {
  await asOwner(house.ownerUrl, async (client) => {
    await client.query(
      `insert into notifications (tenant_id, user_id, id, source_id, type, title, message, priority, read_at, created_at)
       select tenant_id, id, gen_random_uuid(), gen_random_uuid(), case when n % 100 = 0 then 'own.rare' else 'own.common' end,
              'x', 'x', case when n % 100 = 0 then 'urgent' else 'low' end, case when n % 100 > 0 then now() end, now() - make_interval(secs => n)
       from users, generate_series(1, 10000) n where tenant_id = $1 and id = $2`,
      [alice.tenantId, alice.userId],
    )
    await client.query('vacuum analyze notifications')
  })
  const removed: number[] = []
  const nodes: string[] = []
  const inner = house.app.database.db.tenant(contextOf(alice))
  const tx: typeof inner = {
    ...inner,
    query: async (query) => {
      const [row] = await inner.query({ text: `explain (analyze, format json) ${query.text}`, values: query.values })
      walk(row?.['QUERY PLAN'][0].Plan, (node) => {
        removed.push(Number(node['Rows Removed by Filter'] ?? 0))
        nodes.push(String(node['Index Name'] ?? node['Node Type']))
      })
      return inner.query(query)
    },
  }
  await listEntries(tx, {}, null, 51)
  await listEntries(tx, { unreadOnly: true }, null, 51)
  await listEntries(tx, { type: 'own.rare' }, null, 51)
  await listEntries(tx, { priority: 'urgent' }, null, 51)
  await countUnread(tx)
  expect(Math.max(...removed)).toBeLessThanOrEqual(100)
  expect(nodes.at(-1)).toBe('notifications_unread')
  expect(nodes).not.toContain('Seq Scan')
})

/** The entries about a record, oldest first, once there are as many. */
const inbox = (who: Client, recordId: unknown, atLeast: number): Promise<Notification[]> =>
  eventually(async () => {
    const { data } = (await who.get('/notifications?limit=200')).body
    const about = data.filter(({ entityId }: Notification) => entityId === recordId)
    return about.length >= atLeast ? sorted(about) : undefined
  }, `${atLeast} notifications about ${recordId}`)

const sorted = (entries: Notification[]): Notification[] =>
  entries.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt) || a.type.localeCompare(b.type))

const types = (entries: readonly Notification[]): string[] => entries.map(({ type }) => type)

const unread = async (who: Client): Promise<number> => (await who.get('/notifications/unread-count')).body.unreadCount

/** Puts entries about tasks into an inbox, one after the other; gives their ids, oldest first. */
async function filled(who: Client, entries: number): Promise<string[]> {
  for (let made = 0; made < entries; made++) await alice.build('task', { assigneeIds: [who.userId] })
  const { data } = await eventually(async () => {
    const { body } = await who.get('/notifications')
    return body.data.length === entries ? body : undefined
  }, `${entries} notifications`)
  return data.map(({ id }: Notification) => id).toReversed()
}

/** Waits until the subscription has digested all that was done before. */
async function settled(): Promise<void> {
  const marker = await alice.build('task', { assigneeIds: [mary.userId] })
  await inbox(mary, marker.id, 1)
}

async function count(text: string, values: unknown[]): Promise<number> {
  return asOwner(house.ownerUrl, async (client) => Number((await client.query(text, values)).rows[0].count))
}

function walk(node: Record<string, unknown>, visit: (node: Record<string, unknown>) => void): void {
  visit(node)
  if (Array.isArray(node.Plans)) for (const child of node.Plans) walk(child, visit)
}

function contextOf(who: Client): Ctx {
  return {
    tenantId: who.tenantId,
    actor: { id: who.userId, type: 'user', name: 'Alice' },
    rights: { userId: who.userId, role: 'owner', scope: () => 'all' },
    sessionId: null,
    requestId: 'test',
    operationId: who.userId,
    ip: null,
    userAgent: null,
    lane: 'live',
  }
}
