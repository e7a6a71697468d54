import sql from 'sql-template-tag'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ctx } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import type { ActivityFilters } from './filters.ts'
import { listActivities, searchActivities } from './timeline.queries.ts'
import type { Visibility } from './visibility.ts'

let house: TestApp
let alice: Client
let bob: Client
let charlie: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob, charlie } = house)
})
afterAll(() => house.stop())

test('a record tells its whole life: one activity for each version, with what changed', async () => {
  const deal = await alice.build('deal', { name: 'Ten engines' })
  const at = `/deals/${deal.id}`
  await alice.patch(at, { value: 5000, lostReason: null })
  await alice.patch(at, { value: 5000 })
  await alice.post(`${at}/win`)
  await alice.post(`${at}/archive`)
  await alice.post(`${at}/unarchive`)
  await alice.delete(at)
  await alice.post(`${at}/restore`)
  const told = await alice.timeline('deal', deal.id, 7)
  expect(told.map(({ action, metadata, description }) => [action, metadata, description])).toEqual([
    ['created', { version: 1 }, 'Alice created the deal “Ten engines”'],
    ['updated', { version: 2 }, expect.stringMatching(/^Alice changed value.* of the deal “Ten engines”$/)],
    ['updated', { version: 3, verb: 'won' }, 'Alice won the deal “Ten engines”'],
    ['archived', { version: 4 }, 'Alice archived the deal “Ten engines”'],
    ['restored', { version: 5, verb: 'unarchived' }, 'Alice took the deal “Ten engines” out of the archive'],
    ['deleted', { version: 6 }, 'Alice deleted the deal “Ten engines”'],
    ['restored', { version: 7 }, 'Alice restored the deal “Ten engines”'],
  ])
  expect(told[1]?.changes).toContainEqual({ field: 'value', oldValue: 1000, newValue: 5000 })
  expect(told[2]?.changes).toContainEqual({ field: 'status', oldValue: 'open', newValue: 'won' })
})

test('an activity says who did it, from where and by which request', async () => {
  const sent = await bob.post(
    '/notes',
    { body: '# Decision\nBefore Christmas' },
    { 'X-Request-Id': 'try-1', 'User-Agent': 'Firefox' },
  )
  const [activity] = await bob.timeline('note', sent.body.id, 1)
  expect(activity).toEqual({
    id: expect.any(String),
    entityType: 'note',
    entityId: sent.body.id,
    entityName: 'Decision',
    action: 'created',
    description: 'Bob created the note “Decision”',
    changes: expect.arrayContaining([{ field: 'body', oldValue: null, newValue: '# Decision\nBefore Christmas' }]),
    actor: { id: bob.userId, type: 'user', name: 'Bob' },
    ipAddress: expect.stringMatching(/127\.0\.0\.1$/),
    userAgent: 'Firefox',
    requestId: 'try-1',
    operationId: expect.any(String),
    metadata: { version: 1 },
    occurredAt: sent.body.createdAt,
  })
})

test('the operations of a bulk call share their operationId', async () => {
  const operations = ['Ada', 'Grace', 'Emmy'].map((firstName) => ({ op: 'create', data: { firstName } }))
  const { body } = await alice.post('/contacts/bulk', { operations })
  const told = await Promise.all(body.results.map(({ id }: { id: string }) => alice.timeline('contact', id, 1)))
  expect(new Set(told.map(([activity]) => activity.operationId)).size).toBe(1)
})

test('every noun has its timeline under its own path too', async () => {
  for (const [type, path] of [
    ['contact', 'contacts'],
    ['company', 'companies'],
    ['deal', 'deals'],
    ['task', 'tasks'],
    ['note', 'notes'],
    ['pipeline', 'pipelines'],
    ['tag', 'tags'],
    ['team', 'teams'],
  ] as const) {
    const record = await alice.build(type)
    await alice.timeline(type, record.id, 1)
    const { body } = await alice.get(`/${path}/${record.id}/timeline`)
    expect([type, body.data.map(({ entityId, action }: Record<string, unknown>) => [entityId, action])]).toEqual([
      type,
      [[record.id, 'created']],
    ])
  }
})

test('a deleted record keeps its timeline; a stranger’s, an unknown and a malformed one are not there', async () => {
  const company = await alice.build('company')
  await alice.delete(`/companies/${company.id}`)
  expect(await alice.timeline('company', company.id, 2)).toHaveLength(2)
  const unknown = '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90'
  const missing = [
    `/timeline/company/${unknown}`,
    `/timeline/deal/${company.id}`,
    `/companies/${unknown}/timeline`,
    '/timeline/company/x',
    '/timeline/spaceship/x',
    `/timeline/spaceship/${unknown}`,
  ]
  for (const path of missing) expect([path, (await alice.get(path)).status]).toEqual([path, 404])
  expect((await charlie.get(`/timeline/company/${company.id}`)).status).toBe(404)
  expect((await charlie.get(`/companies/${company.id}/timeline`)).status).toBe(404)
  expect((await house.nobody.get(`/timeline/company/${company.id}`)).status).toBe(401)
})

test('a record that has just been made has a timeline, be it empty still', async () => {
  const task = await alice.build('task')
  expect((await alice.get(`/tasks/${task.id}/timeline`)).status).toBe(200)
})

test('tenants see nothing of each other', async () => {
  const secret = await charlie.build('contact', { firstName: 'Zebulon' })
  await charlie.timeline('contact', secret.id, 1)
  const theirs = (await charlie.get('/timeline?limit=200')).body.data
  expect(theirs.map(({ entityId }: Record<string, unknown>) => entityId)).toContain(secret.id)
  const ours = (await alice.get('/timeline?limit=200')).body.data
  expect(ours.map(({ entityId }: Record<string, unknown>) => entityId)).not.toContain(secret.id)
  expect((await alice.get('/timeline/search?q=zebulon')).body.data).toEqual([])
  expect((await charlie.get('/timeline/search?q=zebulon')).body.data).toHaveLength(1)
})

test('who signed in is told to himself and to administrators only', async () => {
  const vera = await house.join('Vera', 'viewer')
  const admin = await house.join('Adam', 'admin')
  const signIns = async (who: Client, path = '/timeline?action=logged_in&limit=200') =>
    (await who.get(path)).body.data.map(({ actor }: { actor: { id: string } }) => actor.id)
  await eventually(async () => (await signIns(alice)).includes(admin.userId), 'the sign-in of Adam')
  expect(await signIns(admin)).toEqual(expect.arrayContaining([alice.userId, bob.userId, vera.userId, admin.userId]))
  expect(await signIns(vera)).toEqual([vera.userId])
  expect(await signIns(vera, `/timeline?entityType=user&actorId=${admin.userId}`)).toEqual([])
  expect(await signIns(vera, '/timeline/search?q=signed%20in')).toEqual([vera.userId])
  expect(await signIns(vera, `/timeline/user/${admin.userId}?action=logged_in`)).toEqual([])
  const { body } = await vera.get('/timeline/statistics')
  expect(body.data).toContainEqual({ key: 'logged_in', label: 'logged_in', count: 1 })
})

test('mine are those that I did', async () => {
  const mine = await bob.build('task', { title: 'Mine' })
  const hers = await alice.build('task', { title: 'Hers' })
  await bob.timeline('task', mine.id, 1)
  await bob.timeline('task', hers.id, 1)
  const { data } = (await bob.get('/timeline/me?limit=200')).body
  expect(new Set(data.map(({ actor }: { actor: { id: string } }) => actor.id))).toEqual(new Set([bob.userId]))
  expect((await bob.get('/timeline/me?entityType=task&action=created')).body.data).toMatchObject([
    { entityId: mine.id },
  ])
})

test('filters narrow, and are refused by name when they are not offered', async () => {
  const note = await bob.build('note', { body: 'Filtered' })
  await bob.patch(`/notes/${note.id}`, { pinned: true })
  const [, second] = await bob.timeline('note', note.id, 2)
  const found = async (query: string) =>
    (await bob.get(`/timeline?entityType=note&actorId=${bob.userId}&${query}`)).body.data.length
  expect(await found(`action=updated&from=${second?.occurredAt}&to=${second?.occurredAt}`)).toBe(1)
  expect(await found(`from=${new Date().toISOString().slice(0, 10)}`)).toBeGreaterThan(1)
  expect(await found('to=2020-01-01')).toBe(0)
  expect(await found('from=2020-01-01T00:00:00%2B02:00&to=9999-12-31')).toBeGreaterThan(1)
  expect((await bob.get('/timeline?entityType=invoice')).body.data).toEqual([])
  const refused = [
    'entityType=spaceship',
    'action=exploded',
    'actorId=bob',
    'from=yesterday',
    'to=2026-13-01',
    'from=0000-01-01',
    'to=9999-12-31T23:59:59-12:00',
    'limit=0',
    'limit=201',
    'limit=x',
    'cursor=x',
    'sort=id',
    'view=feed',
    'action=created&action=updated',
    'entityId=x',
    '__proto__=1',
    'toString=1',
    'action[in]=created',
  ]
  for (const query of refused) {
    const answer = await bob.get(`/timeline?${query}`)
    expect([query, answer.status, answer.body.code]).toEqual([query, 400, 'VALIDATION_FAILED'])
    expect(decodeURIComponent(query)).toContain(answer.body.errors[0].path)
  }
  expect((await bob.get(`/timeline/me?actorId=${bob.userId}`)).status).toBe(400)
  expect((await bob.get(`/timeline/note/${note.id}?entityType=note`)).status).toBe(400)
})

test('walking the cursor visits each activity once while others write', async () => {
  const contact = await alice.build('contact')
  for (let score = 1; score <= 11; score++) await alice.patch(`/contacts/${contact.id}`, { leadScore: score })
  await alice.timeline('contact', contact.id, 12)
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body } = await alice.get(`/contacts/${contact.id}/timeline?limit=5${cursor && `&cursor=${cursor}`}`)
    seen.push(...body.data.map(({ metadata }: { metadata: { version: string } }) => metadata.version))
    cursor = body.page.nextCursor
    await alice.patch(`/contacts/${contact.id}`, { jobTitle: `Title ${seen.length}` })
  }
  expect(seen).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
})

test('a cursor serves the list that gave it and no other, and cannot be made up', async () => {
  const { body } = await alice.get('/timeline?limit=1')
  const cursor: string = body.page.nextCursor
  expect((await alice.get(`/timeline?limit=3&cursor=${cursor}`)).status).toBe(200)
  for (const path of ['/timeline?action=created&', '/timeline/me?', '/timeline/search?q=deal&']) {
    expect((await alice.get(`${path}cursor=${cursor}`)).status).toBe(400)
  }
  const [list] = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  for (const place of [
    [],
    ['2026-11-21T08:00:00.000Z'],
    ['x', 'y'],
    ['0000-00-00', body.data[0].id],
    [body.data[0].occurredAt, "' or 1=1"],
  ]) {
    const made = Buffer.from(JSON.stringify([list, ...place])).toString('base64url')
    expect((await alice.get(`/timeline?cursor=${made}`)).status).toBe(400)
  }
})

test('the search finds by words of the name and of the sentence, whatever accents and case, and while one types', async () => {
  const company = await alice.build('company', { name: 'Société Générale d’Électricité' })
  await alice.delete(`/companies/${company.id}`)
  await alice.timeline('company', company.id, 2)
  const found = async (q: string, more = '') =>
    (await alice.get(`/timeline/search?q=${encodeURIComponent(q)}${more}`)).body.data.map(
      ({ action }: { action: string }) => action,
    )
  expect(await found('societe')).toEqual(['deleted', 'created'])
  expect(await found('ÉLECTRICITÉ générale')).toEqual(['deleted', 'created'])
  expect(await found('electr')).toEqual(['deleted', 'created'])
  expect(await found('electr generale')).toEqual([])
  expect(await found('deleted electricite')).toEqual(['deleted'])
  expect(await found('electricite', '&action=created')).toEqual(['created'])
  expect(await found('nowhere')).toEqual([])
  for (const q of ['!!!', "' & | ! :* <->", '\\', "'); drop table activities;", '😀', '漢字'])
    expect(await found(q)).toEqual([])
  for (const query of ['', '?q=', '?q=%20', `?q=${'x'.repeat(201)}`, '?q=a&q=b']) {
    expect([query, (await alice.get(`/timeline/search${query}`)).status]).toEqual([query, 400])
  }
  const first = (await alice.get('/timeline/search?q=electricite&limit=1')).body
  const second = (await alice.get(`/timeline/search?q=electricite&limit=1&cursor=${first.page.nextCursor}`)).body
  expect([first.data[0].action, second.data[0].action, second.page.nextCursor]).toEqual(['deleted', 'created', null])
})

test('statistics count a span by group', async () => {
  const dora = await house.found('Initech', 'Dora')
  for (let count = 0; count < 3; count++) await dora.build('contact')
  const task = await dora.build('task')
  await dora.post(`/tasks/${task.id}/complete`)
  await dora.timeline('task', task.id, 2)
  const counted = async (query: string) => (await dora.get(`/timeline/statistics?${query}`)).body
  const byType = await counted('groupBy=entityType')
  expect(byType.data).toEqual(
    expect.arrayContaining([
      { key: 'contact', label: 'contact', count: 3 },
      { key: 'task', label: 'task', count: 2 },
    ]),
  )
  expect((await counted('')).data).toContainEqual({ key: 'completed', label: 'completed', count: 1 })
  expect((await counted('groupBy=actor')).data).toContainEqual({
    key: dora.userId,
    label: 'Dora',
    count: expect.any(Number),
  })
  const today = new Date().toISOString().slice(0, 10)
  expect((await counted(`groupBy=day&from=${today}&to=${today}`)).data).toEqual([
    { key: today, label: today, count: byType.total },
  ])
  expect((await counted('from=2020-01-01&to=2020-02-01&groupBy=month')).total).toBe(0)
  for (const query of [
    'groupBy=colour',
    'from=2020-01-01&to=2019-01-01',
    'from=2020-01-01&to=2022-01-01',
    'from=x',
    'limit=3',
  ]) {
    expect([query, (await dora.get(`/timeline/statistics?${query}`)).status]).toEqual([query, 400])
  }
})

test('the trail is written by the subscription alone: the application can neither add, change nor delete', async () => {
  const { db } = house.app.database
  const tx = db.tenant(contextOf(alice))
  for (const statement of [
    sql`update activities set description = 'nothing' where tenant_id = ${alice.tenantId}`,
    sql`delete from activities where tenant_id = ${alice.tenantId}`,
    sql`insert into activities select * from activities where tenant_id = ${alice.tenantId}`,
    sql`truncate activities`,
  ])
    await expect(tx.query(statement)).rejects.toThrow('permission denied')
  await expect(db.worker.query(sql`update activities set description = 'nothing'`)).rejects.toThrow('permission denied')
  await expect(db.worker.query(sql`delete from activities`)).rejects.toThrow('permission denied')
})

test('events that are read again make no second activity', async () => {
  const deal = await alice.build('deal')
  await alice.timeline('deal', deal.id, 1)
  await asOwner(house.ownerUrl, (client) =>
    client.query(`update event_cursors set tx = '0', seq = 0 where subscription = 'timeline'`),
  )
  await alice.patch(`/deals/${deal.id}`, { name: 'Twelve engines' })
  expect(await alice.timeline('deal', deal.id, 2)).toHaveLength(2)
})

test('who may not read all records of a type sees of it only what he did', async () => {
  const hers = await alice.build('task', { title: 'Restricted quagga' })
  const his = await bob.build('task', { title: 'Restricted quagga' })
  const note = await alice.build('note', { body: 'Restricted quagga' })
  await Promise.all([
    alice.timeline('task', hers.id, 1),
    alice.timeline('task', his.id, 1),
    alice.timeline('note', note.id, 1),
  ])
  const tx = house.app.database.db.tenant(contextOf(bob))
  const seen = { types: ['note'], personal: false, personalActions: [], me: bob.userId }
  const found = await searchActivities(tx, seen, 'quagga', {}, null, 50)
  const listed = (await listActivities(tx, seen, {}, null, 200)).map(({ json }) => JSON.parse(json))
  expect(new Set(found.map(({ json }) => JSON.parse(json).entityId))).toEqual(new Set([his.id, note.id]))
  expect(listed.filter(({ entityType, actor }) => entityType !== 'note' && actor.id !== bob.userId)).toEqual([])
})

test('under row-level security each filter reads hardly more than its page', async () => {
  await fillTimeline(20_000)
  const { db } = house.app.database
  const everything = { types: null, personal: true, personalActions: ['logged_in'], me: alice.userId }
  const discreet = { ...everything, personal: false }
  const cases: [Visibility, ActivityFilters][] = [
    [everything, {}],
    [discreet, {}],
    [everything, { entityType: 'note' }],
    [everything, { action: 'assigned' }],
    [everything, { action: 'logged_in' }],
    [discreet, { action: 'logged_in' }],
    [everything, { actorId: alice.userId }],
    [everything, { from: '2026-01-01', to: '2126-01-01' }],
    [everything, { entityType: 'note', entityId: alice.userId }],
  ]
  for (const [visibility, filters] of cases) {
    const tx = explaining(db.tenant(contextOf(alice)))
    await listActivities(tx, visibility, filters, null, 51)
    await listActivities(tx, visibility, filters, { occurredAt: new Date().toISOString(), id: alice.userId }, 51)
    expect([filters, Math.max(...tx.removed) <= 100]).toEqual([filters, true])
  }
})

/** Activities of this month by a thousand colleagues, a few of which are of the rare kinds that the test looks for. */
async function fillTimeline(count: number): Promise<void> {
  await asOwner(house.ownerUrl, async (client) => {
    await client.query(
      `insert into activities (tenant_id, occurred_at, id, entity_type, entity_id, entity_name, action, description, changes,
                               actor_id, actor_type, actor_name, request_id, operation_id, metadata, personal, document)
       select $1, now() - make_interval(secs => n), gen_random_uuid(), case when n % 100 = 0 then 'note' else 'deal' end,
              case when n % 100 = 0 then $2::uuid else gen_random_uuid() end, 'x',
              case n % 50 when 0 then 'assigned' when 1 then 'logged_in' else 'updated' end, 'x', '[]',
              case when n % 500 = 1 then $2::uuid else gen_random_uuid() end, 'user', 'x', 'x', gen_random_uuid(), '{}',
              n % 50 = 1, ''
       from generate_series(1, $3) n`,
      [alice.tenantId, alice.userId, count],
    )
    await client.query('analyze activities')
  })
}

/** Runs each statement as it is, and notes how many rows its plan removed. */
function explaining(tx: Tx): Tx & { removed: number[] } {
  const removed: number[] = []
  return {
    ...tx,
    removed,
    query: async (query) => {
      const [row] = await tx.query({ text: `explain (analyze, format json) ${query.text}`, values: query.values })
      removed.push(removedBy(row?.['QUERY PLAN'][0].Plan))
      return tx.query(query)
    },
  }
}

function removedBy(node: Record<string, unknown>): number {
  const own = Number(node['Rows Removed by Filter'] ?? 0) + Number(node['Rows Removed by Index Recheck'] ?? 0)
  const below = Array.isArray(node.Plans) ? node.Plans : []
  return below.reduce((sum, child) => sum + removedBy(child), own)
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
