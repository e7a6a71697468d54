import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordTypes } from '../../entities/records.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually, paths } from '../../test/client.ts'

let house: TestApp
let alice: Client
let charlie: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, charlie } = house)
})
afterAll(() => house.stop())

type Result = { status: number; problem?: Record<string, unknown> }

const nobodysId = '01900000-0000-7000-8000-000000000000'

describe('a reference that does not resolve is 400 and named', () => {
  test('unknown, of another tenant, deleted, of another type, or no id', async () => {
    const foreign = await charlie.build('company')
    const gone = await alice.build('company')
    await alice.delete(`/companies/${gone.id}`)
    const contact = await alice.build('contact')
    for (const companyId of [nobodysId, foreign.id, gone.id, contact.id, 'x', 7, [gone.id]]) {
      const made = await alice.post('/contacts', { firstName: 'x', companyId })
      expect([companyId, made.status]).toEqual([companyId, 400])
      expect(made.body.errors).toEqual([expect.objectContaining({ path: 'companyId' })])
      const changed = await alice.patch(`/contacts/${contact.id}`, { companyId })
      expect(changed.body.errors).toEqual([expect.objectContaining({ path: 'companyId' })])
    }
    expect((await alice.get(`/contacts/${contact.id}`)).body.version).toBe(1)
  })

  test('in lists one wrong id is enough', async () => {
    const [own, foreign] = await Promise.all([alice.build('contact'), charlie.build('contact')])
    const deal = await alice.post('/deals', { name: 'x', contactIds: [own.id, foreign.id] })
    expect([deal.status, deal.body.errors]).toEqual([400, [expect.objectContaining({ path: 'contactIds' })]])
    for (const item of [
      { type: 'contact', id: foreign.id },
      { type: 'company', id: own.id },
      { type: 'contact', id: nobodysId },
    ]) {
      const note = await alice.post('/notes', { body: 'x', related: [{ type: 'contact', id: own.id }, item] })
      expect([note.status, note.body.errors]).toEqual([400, [expect.objectContaining({ path: 'related' })]])
    }
    for (const related of [
      [{ type: 'invoice', id: own.id }],
      [{ id: own.id }],
      [own.id],
      { type: 'contact', id: own.id },
    ])
      expect((await alice.post('/notes', { body: 'x', related })).status).toBe(400)
    const twice = [own.id, own.id.toUpperCase()]
    expect((await alice.build('deal', { contactIds: twice })).contactIds).toEqual([own.id])
  })

  test('owners and assignees are active users of the tenant', async () => {
    const left = await house.join('Leo', 'member')
    const held = await alice.build('deal', { ownerId: left.userId })
    await alice.patch(`/users/${left.userId}`, { active: false })
    for (const userId of [left.userId, charlie.userId, nobodysId]) {
      expect((await alice.post('/deals', { name: 'x', ownerId: userId })).body.errors?.[0]?.path).toBe('ownerId')
      expect((await alice.post('/tasks', { title: 'x', assigneeIds: [userId] })).body.errors?.[0]?.path).toBe(
        'assigneeIds',
      )
      const task = await alice.build('task')
      expect((await alice.post(`/tasks/${task.id}/assign`, { userIds: [userId] })).status).toBe(400)
    }
    // What it was before may be sent back, and keeps resolving.
    const { body } = await alice.get(`/deals/${held.id}?include=owner`)
    expect(body.owner).toMatchObject({ id: left.userId, name: 'Leo' })
    expect((await alice.patch(`/deals/${held.id}`, { ownerId: left.userId, name: 'y' })).status).toBe(200)
  })

  test('several wrong members are all named', async () => {
    const answer = await alice.post('/deals', {
      name: 'x',
      companyId: nobodysId,
      stageId: nobodysId,
      ownerId: nobodysId,
    })
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual([
      'companyId',
      'ownerId',
      'stageId',
    ])
  })
})

describe('a record that one may not read', () => {
  /** Reads and changes what is his own, and nothing else. */
  let owen: Client

  beforeAll(async () => {
    const permissions = recordTypes.flatMap((resource) =>
      ['read', 'create', 'update', 'delete'].map((action) => ({ resource, action, scope: 'own' })),
    )
    const role = await alice.build('role', { name: 'Own records', permissions })
    owen = await house.join('Owen', 'member', { roleId: role.id })
  })

  const related = (type: string, id: string) => [{ type, id }]
  const all = recordTypes.map((type) => [type, (id: string) => related(type, id)] as const)
  const single = (type: string) => [[type, (id: string) => id]] as const
  const several = [['contact', (id: string) => [id]]] as const
  const people = (['contact', 'lead'] as const).map((type) => [type, (id: string) => related(type, id)] as const)

  test.each([
    ['contact', 'companyId', single('company'), { lastName: 'x' }],
    ['company', 'parentId', single('company'), { name: 'x' }],
    ['deal', 'companyId', single('company'), { name: 'x' }],
    ['deal', 'contactIds', several, { name: 'x' }],
    ['task', 'parentId', single('task'), { title: 'x' }],
    ['task', 'related', all, { title: 'x' }],
    ['note', 'related', all, { body: 'x' }],
    ['interaction', 'related', all, { type: 'call' }],
    ['interaction', 'participants', people, { type: 'call' }],
  ] as const)('is none for the %s and its %s, by whatever way', async (noun, member, targets, whole) => {
    const path = paths[noun] ?? ''
    const held = { assigneeIds: [owen.userId] }
    const own = await owen.build(noun, {
      ...whole,
      ...(noun === 'task' ? held : {}),
      externalId: `own-${noun}-${member}`,
    })
    for (const [type, value] of targets) {
      const unseen = await alice.build(type)
      const tried = async (id: string) => {
        const data = { ...whole, [member]: value(id) }
        const create = { op: 'create', data }
        const bulk = await owen.post(`${path}/bulk`, {
          operations: [create, create, { op: 'update', id: own.id, data }],
        })
        const answers = [
          await owen.post(path, data),
          await owen.post(path, data, { 'Idempotency-Key': randomUUID() }),
          await owen.patch(`${path}/${own.id}`, data),
          await owen.put(`${path}/${own.id}`, { ...data, ...(noun === 'task' ? held : {}) }),
          await owen.put(`${path}/by-external-id/new-${noun}-${member}-${type}`, data),
          ...bulk.body.results.map(({ status, problem }: Result) => ({ status, body: problem })),
        ]
        return answers.map(({ status, body }) => [status, body?.code, body?.errors?.[0]])
      }
      const refused = await tried(unseen.id)
      expect(refused).toEqual(await tried(nobodysId))
      expect(refused).toEqual(
        refused.map(() => [
          400,
          'VALIDATION_FAILED',
          expect.objectContaining({ path: member, code: 'invalid_reference' }),
        ]),
      )
    }
    // What is shared with him he may refer to, and what somebody else referred to before him stays.
    const [[type, value]] = targets
    const [seen, unseen] = [await alice.build(type), await alice.build(type)]
    await alice.put(`${paths[type]}/${seen.id}/shares`, { shares: [{ userId: owen.userId, access: 'read' }] })
    const at = `${path}/${own.id}`
    expect((await owen.patch(at, { [member]: value(seen.id) })).status).toBe(200)
    expect((await alice.patch(at, { [member]: value(unseen.id) })).status).toBe(200)
    const same = { ...whole, [member]: value(unseen.id), ...(noun === 'task' ? held : {}) }
    expect((await owen.patch(at, same)).status).toBe(200)
    expect((await owen.put(at, same)).status).toBe(200)
    if (!Array.isArray(value(seen.id))) return
    const both = { [member]: [value(unseen.id), value(seen.id)].flat() }
    expect((await owen.patch(at, both)).status).toBe(200)
    const more = { [member]: [value(unseen.id), value((await alice.build(type)).id)].flat() }
    expect((await owen.patch(at, more)).status).toBe(400)
  })

  test('is no product of a line and nothing to comment on', async () => {
    const deal = await owen.build('deal')
    const [product, contact] = [await alice.build('product'), await alice.build('contact')]
    for (const productId of [product.id, nobodysId]) {
      const { status, body } = await owen.post(`/deals/${deal.id}/line-items`, { productId, unitPrice: 1 })
      expect([status, body.errors[0].path]).toEqual([400, 'productId'])
    }
    expect((await owen.post(`/contacts/${contact.id}/comments`, { body: 'x' })).status).toBe(404)
  })

  test('is a reference nevertheless where it follows from what one may read', async () => {
    const company = await alice.build('company')
    const contact = await alice.build('contact', { ownerId: owen.userId, companyId: company.id })
    const lead = await owen.build('lead', { companyName: null })
    const values = { contactId: contact.id, createDeal: true, duplicates: 'ignore', deal: { name: 'Follows' } }
    const converted = await owen.post(`/leads/${lead.id}/convert`, values)
    expect([converted.status, converted.body.convertedCompanyId]).toEqual([200, company.id])
    const deal = (await owen.get(`/deals/${converted.body.convertedDealId}`)).body
    expect(deal).toMatchObject({ companyId: company.id, contactIds: [contact.id] })
    const other = await owen.build('lead', { companyName: null })
    const said = { ...values, deal: { name: 'Said', companyId: (await alice.build('company')).id } }
    expect((await owen.post(`/leads/${other.id}/convert`, said)).body.errors[0].path).toBe('deal.companyId')
  })
})

test('deleting a record leaves what it is related to', async () => {
  const company = await alice.build('company')
  const contact = await alice.build('contact', { companyId: company.id })
  const deal = await alice.build('deal', { companyId: company.id, contactIds: [contact.id] })
  await alice.delete(`/companies/${company.id}`)
  await alice.delete(`/contacts/${contact.id}`)
  expect((await alice.get(`/deals/${deal.id}`)).body).toMatchObject({ companyId: company.id, contactIds: [contact.id] })
  // And the deal can still be written with what it has.
  const sent = { companyId: company.id, contactIds: [contact.id], name: 'Renamed' }
  expect((await alice.patch(`/deals/${deal.id}`, sent)).status).toBe(200)
})

const isWaiting = async (client: pg.Client): Promise<boolean> => {
  const { rows } = await client.query(`select 1 from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())`)
  return rows.length > 0
}

describe.each(['company', 'task'])('the parent of a %s', (type) => {
  const path = type === 'company' ? '/companies' : '/tasks'
  const chain = async (length: number): Promise<string[]> => {
    const ids: string[] = []
    for (let place = 0; place < length; place++)
      ids.push((await alice.build(type, place === 0 ? {} : { parentId: ids.at(-1) })).id)
    return ids
  }

  test('is never itself nor one below it', async () => {
    const [top, middle, bottom] = await chain(3)
    for (const parentId of [top, middle, bottom]) {
      const answer = await alice.patch(`${path}/${top}`, { parentId })
      expect([answer.status, answer.body.code]).toEqual([422, 'PARENT_CYCLE'])
    }
    expect((await alice.get(`${path}/${top}`)).body).toMatchObject({ parentId: null, version: 1 })
    expect((await alice.patch(`${path}/${bottom}`, { parentId: top })).status).toBe(200)
    expect((await alice.patch(`${path}/${middle}`, { parentId: bottom })).status).toBe(200)
    expect((await alice.patch(`${path}/${middle}`, { parentId: null })).status).toBe(200)
  })

  test('is no loop over a deleted one either: it may come back', async () => {
    const [top, middle, bottom] = await chain(3)
    await alice.delete(`${path}/${middle}`)
    expect((await alice.patch(`${path}/${top}`, { parentId: bottom })).status).toBe(422)
  })

  test('is no loop when two trees are hung under each other at once', async () => {
    // Under each other's ends: the two changes touch no row in common, so that no row lock makes one wait.
    const [[oneTop, oneEnd], [twoTop, twoEnd]] = await Promise.all([chain(2), chain(2)])
    const answer = await asOwner(house.ownerUrl, async (client) => {
      await client.query('begin')
      await client.query(`update ${path.slice(1)} set parent_id = $1 where id = $2`, [twoEnd, oneTop])
      let settled = false
      const second = alice.patch(`${path}/${twoTop}`, { parentId: oneEnd }).finally(() => {
        settled = true
      })
      await eventually(async () => settled || (await isWaiting(client)), 'the second change, waiting or answered')
      await client.query('commit')
      return second
    })
    expect([answer.status, answer.body.code]).toEqual([422, 'PARENT_CYCLE'])
  })

  test('is refused in bulk too, one operation by itself', async () => {
    const [top, below] = await chain(2)
    const operations = [
      { op: 'update', id: top, data: { parentId: below } },
      { op: 'update', id: below, data: { parentId: null } },
    ]
    const { body } = await alice.post(`${path}/bulk`, { operations })
    expect(body.results).toMatchObject([{ status: 422, problem: { code: 'PARENT_CYCLE' } }, { status: 200 }])
  })
})
