import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'

const nouns = ['contact', 'company', 'deal', 'task', 'note'] as const
type Noun = (typeof nouns)[number]

const acts = [
  'read',
  'create',
  'update own',
  'update team’s',
  'update other’s',
  'delete own',
  'delete team’s',
  'delete other’s',
  'tag',
  'set up',
] as const

/** What each role is answered, act by act in the order above, whatever the noun. */
const table: Readonly<Record<string, readonly number[]>> = {
  owner: [200, 201, 200, 200, 200, 204, 204, 204, 201, 201],
  admin: [200, 201, 200, 200, 200, 204, 204, 204, 201, 201],
  manager: [200, 201, 200, 200, 403, 204, 204, 403, 201, 403],
  member: [200, 201, 200, 403, 403, 204, 403, 403, 201, 403],
  viewer: [200, 403, 403, 403, 403, 403, 403, 403, 403, 403],
}

let house: TestApp
let alice: Client
/** Reports to who reports to everybody below: the end of each line. */
let report: Client
const people = new Map<string, Client>()

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
  for (const role of Object.keys(table)) people.set(role, await house.join(role, role))
  const between = await house.join('Between', 'member', { managerId: as('manager').userId })
  report = await house.join('Report', 'member', { managerId: between.userId })
})
afterAll(() => house.stop())

describe.each(Object.keys(table))('the role %s', (role) => {
  test.each(nouns)('on a %s', async (noun) => {
    const who = as(role)
    const holders = { own: who, 'team’s': report, 'other’s': alice }
    const answers: unknown[] = []
    for (const act of acts) answers.push([act, await answered(who, noun, act, holders)])
    expect(answers).toEqual(acts.map((act, index) => [act, table[role]?.[index]]))
  })

  test('is refused only what the permissions of `me` leave out', async () => {
    const { permissions } = (await as(role).get('/auth/me')).body
    const has = (action: string) =>
      nouns.every((resource) =>
        permissions.some(
          (one: { resource: string; action: string }) => one.resource === resource && one.action === action,
        ),
      )
    expect(['read', 'create', 'update', 'delete'].map(has)).toEqual(
      [0, 1, 2, 5].map((act) => (table[role]?.[act] ?? 500) < 300),
    )
  })
})

test('a record is his who owns it, else whose it was made', async () => {
  const member = as('member')
  for (const noun of ['contact', 'company', 'deal'] as const) {
    const given = await member.build(noun, { ownerId: alice.userId })
    expect([noun, (await member.patch(at(noun, given.id), { tags: ['mine'] })).status]).toEqual([noun, 403])
    const left = await member.build(noun, { ownerId: null })
    expect([noun, (await member.patch(at(noun, left.id), { tags: ['mine'] })).status]).toEqual([noun, 200])
    expect([noun, (await report.patch(at(noun, left.id), { tags: ['ours'] })).status]).toEqual([noun, 403])
  }
})

test('a task is every assignee’s, and of its maker only while nobody is assigned', async () => {
  const member = as('member')
  const shared = await alice.build('task', { assigneeIds: [alice.userId, member.userId] })
  expect((await member.post(`/tasks/${shared.id}/complete`)).status).toBe(200)
  const handedOn = await member.build('task')
  expect((await member.post(`/tasks/${handedOn.id}/assign`, { userIds: [alice.userId] })).status).toBe(200)
  expect((await member.patch(`/tasks/${handedOn.id}`, { title: 'Still mine?' })).status).toBe(403)
})

test('whoever may not change a record may not do so by any way', async () => {
  const member = as('member')
  const externalId = randomUUID()
  const { id, stageId, pipelineId, version } = await alice.build('deal', { externalId })
  const deleted = await alice.build('deal')
  await alice.delete(`/deals/${deleted.id}`)
  const won = await alice.build('deal')
  await alice.post(`/deals/${won.id}/win`)
  const task = await alice.build('task')
  const ways: [string, string, unknown?][] = [
    ['PATCH', `/deals/${id}`, { value: 1 }],
    ['PATCH', `/deals/${id}`, {}],
    ['PUT', `/deals/${id}`, { name: 'Mine' }],
    ['DELETE', `/deals/${id}`],
    ['POST', `/deals/${id}/archive`],
    ['POST', `/deals/${id}/unarchive`],
    ['POST', `/deals/${id}/win`],
    ['POST', `/deals/${id}/lose`, { reason: 'no' }],
    ['POST', `/deals/${id}/move`, { stageId, position: 7 }],
    ['POST', `/deals/${won.id}/reopen`],
    ['POST', `/deals/${deleted.id}/restore`],
    ['PUT', `/deals/by-external-id/${externalId}`, { value: 1 }],
    ['POST', `/tasks/${task.id}/complete`],
    ['POST', `/tasks/${task.id}/assign`, { userIds: [member.userId] }],
    ['PATCH', `/pipelines/${pipelineId}`, { name: 'Mine' }],
    ['DELETE', `/pipelines/${pipelineId}`],
    ['POST', '/search/index', { type: 'deal', id }],
    ['DELETE', `/search/index/deal/${id}`],
  ]
  for (const [method, path, body] of ways) {
    const answer = await member.raw(
      method,
      path,
      body === undefined ? undefined : JSON.stringify(body),
      body === undefined ? {} : { 'content-type': 'application/json' },
    )
    expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 403, 'FORBIDDEN'])
  }
  const operations = [
    { op: 'update', id, data: { value: 1 } },
    { op: 'delete', id },
  ]
  const bulk = await member.post('/deals/bulk', { operations })
  expect(bulk.body.results).toMatchObject([{ status: 403 }, { status: 403 }])
  expect((await member.post('/deals/bulk', { operations, atomic: true })).status).toBe(403)
  expect((await alice.get(`/deals/${id}`)).body.version).toBe(version)
})

test('a viewer makes nothing by any way', async () => {
  const viewer = as('viewer')
  const bulk = await viewer.post('/deals/bulk', { operations: [{ op: 'create', data: { name: 'Mine' } }] })
  expect(bulk.body.results).toMatchObject([{ status: 403 }])
  expect((await viewer.put(`/deals/by-external-id/${randomUUID()}`, { name: 'Mine' })).status).toBe(403)
  expect((await viewer.post('/deals', { name: 'Mine' }, { 'Idempotency-Key': randomUUID() })).status).toBe(403)
  const task = await alice.build('task', { assigneeIds: [viewer.userId] })
  expect((await viewer.post(`/tasks/${task.id}/complete`)).status).toBe(403)
})

test('what is not there is 404 for everybody, also where he might not have changed it', async () => {
  const gone = await alice.build('deal')
  await alice.delete(`/deals/${gone.id}`)
  const theirs = await house.charlie.build('deal')
  for (const who of people.values()) {
    for (const id of [gone.id, theirs.id, randomUUID(), 'no-uuid']) {
      const path = `/deals/${id}`
      const answers = [
        await who.get(path),
        await who.patch(path, { value: 1 }),
        await who.delete(path),
        await who.post(`${path}/win`),
      ]
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    }
  }
})

describe('a manager', () => {
  test('reaches who is in his team, in a team that he manages, and who reports to him over any number of steps', async () => {
    const team = await alice.build('team', { name: 'His own' })
    const led = await alice.build('team', { name: 'Led' })
    const max = await house.join('Max', 'manager', { teamId: team.id })
    await alice.patch(`/teams/${led.id}`, { managerId: max.userId })
    const first = await house.join('First', 'member', { managerId: max.userId })
    const second = await house.join('Second', 'member', { managerId: first.userId })
    const near = [
      first,
      second,
      await house.join('Third', 'member', { managerId: second.userId }),
      await house.join('Mate', 'member', { teamId: team.id }),
      await house.join('Led', 'member', { teamId: led.id }),
    ]
    for (const who of near) expect([who.email, await mayChange(max, who)]).toEqual([who.email, 200])
    const boss = await house.join('Boss', 'manager')
    await alice.patch(`/users/${max.userId}`, { managerId: boss.userId })
    expect(await mayChange(max, boss)).toBe(403)
    expect(await mayChange(boss, max)).toBe(200)
    expect(await mayChange(max, alice)).toBe(403)
  })

  test('whose reports lead back to himself is no riddle', async () => {
    const max = await house.join('Max', 'manager')
    const moritz = await house.join('Moritz', 'manager', { managerId: max.userId })
    await alice.patch(`/users/${max.userId}`, { managerId: moritz.userId })
    expect([await mayChange(max, moritz), await mayChange(moritz, max)]).toEqual([200, 200])
  })

  test('loses reach at once, in every process', async () => {
    const other = await house.another()
    const max = await house.join('Max', 'manager')
    const nora = await house.join('Nora', 'member', { managerId: max.userId })
    const elsewhere = await createClient(other.url, {
      user: { id: max.userId, email: '' },
      tenant: { id: max.tenantId },
      accessToken: max.token,
      refreshToken: '',
    })
    expect([await mayChange(max, nora), await mayChange(elsewhere, nora)]).toEqual([200, 200])
    await alice.patch(`/users/${nora.userId}`, { managerId: null })
    expect(await mayChange(max, nora)).toBe(403)
    await eventually(async () => (await mayChange(elsewhere, nora)) === 403, 'the loss of reach in the other process')
  })
})

function as(role: string): Client {
  const who = people.get(role)
  if (!who) throw new Error(`nobody is ${role}`)
  return who
}

async function answered(
  who: Client,
  noun: Noun,
  act: (typeof acts)[number],
  holders: Readonly<Record<string, Client>>,
): Promise<number> {
  const [verb = '', whose = 'other’s'] = act.split(' ')
  if (act === 'tag') return (await who.post('/tags', { name: randomUUID() })).status
  if (act === 'set up') return setUp(who)
  if (act === 'create') return (await who.post(pathOf(noun), values[noun])).status
  const { id } = await heldBy(noun, holders[whose] ?? alice)
  if (act === 'read') return (await who.get(at(noun, id))).status
  return (await (verb === 'update' ? who.patch(at(noun, id), { tags: ['seen'] }) : who.delete(at(noun, id)))).status
}

/** A record that somebody holds, made by Alice where it can be given away. */
async function heldBy(noun: Noun, holder: Client): Promise<{ id: string }> {
  if (noun === 'task') return alice.build(noun, { assigneeIds: [holder.userId] })
  if (noun !== 'note') return alice.build(noun, { ownerId: holder.userId })
  return holder === as('viewer') ? alice.build(noun) : holder.build(noun)
}

/** All that sets the house up answers alike. */
async function setUp(who: Client): Promise<number> {
  const name = randomUUID()
  const made = [
    await who.post('/pipelines', { name, stages: [{ name: 'Open' }] }),
    await who.post('/custom-fields', {
      resource: 'deal',
      key: `k${name.replaceAll('-', '')}`,
      label: name,
      type: 'text',
    }),
    await who.post('/teams', { name }),
    await who.post('/users', { name, email: `${name}@example.com`, password: name }),
  ].map(({ status }) => status)
  const [first] = made
  return made.every((status) => status === first) ? (first ?? 0) : Number.NaN
}

async function mayChange(who: Client, holder: Client): Promise<number> {
  const { id } = await heldBy('deal', holder)
  return (await who.patch(`/deals/${id}`, { value: 7 })).status
}

const values: Readonly<Record<Noun, object>> = {
  contact: { firstName: 'Ada' },
  company: { name: 'Engines' },
  deal: { name: 'Ten engines' },
  task: { title: 'Call' },
  note: { body: 'Hello' },
}

const pathOf = (noun: Noun): string => (noun === 'company' ? '/companies' : `/${noun}s`)
const at = (noun: Noun, id: string): string => `${pathOf(noun)}/${id}`
