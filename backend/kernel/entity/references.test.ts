import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let charlie: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, charlie } = house)
})
afterAll(() => house.stop())

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
