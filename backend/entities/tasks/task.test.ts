import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import type { Client } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

test('a new task is open, of normal priority and nobody’s', async () => {
  const task = await alice.build('task')
  expect(task).toMatchObject({
    status: 'open',
    priority: 'normal',
    assigneeIds: [],
    checklist: [],
    related: [],
    parentId: null,
    completedAt: null,
  })
})

describe('completing', () => {
  test('complete and reopen keep completedAt in step with the status', async () => {
    const { id } = await alice.build('task', { status: 'in_progress' })
    const done = await alice.post(`/tasks/${id}/complete`)
    expect([done.status, done.headers.get('etag')]).toEqual([200, '"2"'])
    expect(done.body.status).toBe('completed')
    expect(Math.abs(Date.parse(done.body.completedAt) - Date.now())).toBeLessThan(60_000)
    const open = await alice.post(`/tasks/${id}/reopen`)
    expect(open.body).toMatchObject({ status: 'open', completedAt: null })
  })

  test('the status does it too, in any way it comes', async () => {
    const made = await alice.build('task', { status: 'completed' })
    expect(made.completedAt).toEqual(expect.any(String))
    const { id } = await alice.build('task')
    expect((await alice.patch(`/tasks/${id}`, { status: 'completed' })).body.completedAt).toEqual(expect.any(String))
    expect((await alice.put(`/tasks/${id}`, { title: 'x' })).body).toMatchObject({ status: 'open', completedAt: null })
    expect((await alice.patch(`/tasks/${id}`, { completedAt: '2026-01-01T00:00:00.000Z' })).status).toBe(400)
  })

  test('what it is already is 422; a cancelled task can be taken up again', async () => {
    const { id } = await alice.build('task')
    const at = `/tasks/${id}`
    expect((await alice.post(`${at}/reopen`)).body.code).toBe('INVALID_TRANSITION')
    await alice.post(`${at}/complete`)
    const again = await alice.post(`${at}/complete`)
    expect([again.status, again.body.code]).toEqual([422, 'INVALID_TRANSITION'])
    expect((await alice.get(at)).body.version).toBe(2)
    await alice.patch(at, { status: 'cancelled' })
    expect((await alice.post(`${at}/reopen`)).body.status).toBe('open')
  })

  test('who is assigned may, who is not may not', async () => {
    const others = await alice.build('task')
    expect((await bob.post(`/tasks/${others.id}/complete`)).status).toBe(403)
    const his = await alice.build('task', { assigneeIds: [bob.userId] })
    expect((await bob.post(`/tasks/${his.id}/complete`)).status).toBe(200)
    for (const verb of ['complete', 'reopen'])
      expect((await house.charlie.post(`/tasks/${his.id}/${verb}`)).status).toBe(404)
    expect((await house.nobody.post(`/tasks/${his.id}/reopen`)).status).toBe(401)
  })
})

describe('assigning', () => {
  test('makes these users the assignees, and no others', async () => {
    const mary = await house.join('Mary', 'manager')
    const { id } = await alice.build('task', { assigneeIds: [alice.userId] })
    const both = await alice.post(`/tasks/${id}/assign`, { userIds: [bob.userId, mary.userId, bob.userId] })
    expect(both.body.assigneeIds).toEqual([bob.userId, mary.userId])
    expect((await alice.get(`/tasks?assigneeIds=${mary.userId}`)).body.data[0].id).toBe(id)
    const same = await alice.post(`/tasks/${id}/assign`, { userIds: [bob.userId, mary.userId] })
    expect(same.body.version).toBe(both.body.version)
    expect((await alice.post(`/tasks/${id}/assign`, { userIds: [] })).body.assigneeIds).toEqual([])
    expect((await alice.get(`/tasks?assigneeIds=${mary.userId}`)).body.data).toEqual([])
  })

  test('is told in the timeline as an assignment', async () => {
    const { id } = await alice.build('task')
    await alice.post(`/tasks/${id}/assign`, { userIds: [bob.userId] })
    await alice.post(`/tasks/${id}/assign`, { userIds: [] })
    const told = await alice.timeline('task', id, 3)
    expect(told.map((activity) => activity.action)).toEqual(['created', 'assigned', 'unassigned'])
  })

  test.each([{}, { userIds: 'x' }, { userIds: ['x'] }, { userIds: [null] }, { users: [] }, { userIds: [], and: 1 }])(
    '%j is 400',
    async (body) => {
      const { id } = await alice.build('task')
      expect((await alice.post(`/tasks/${id}/assign`, body)).status).toBe(400)
    },
  )
})

describe('a checklist', () => {
  test('is kept in order; each step has an id that stays', async () => {
    const checklist = [{ text: ' Call ' }, { id: 'two', text: 'Write', done: true }]
    const { id, checklist: kept } = await alice.build('task', { checklist })
    expect(kept).toEqual([
      { id: expect.any(String), text: 'Call', done: false },
      { id: 'two', text: 'Write', done: true },
    ])
    const sentBack = await alice.patch(`/tasks/${id}`, { checklist: kept })
    expect(sentBack.body).toMatchObject({ checklist: kept, version: 1 })
    expect((await alice.patch(`/tasks/${id}`, { checklist: [{ text: 'Rest' }] })).body.checklist).toEqual([
      { id: expect.any(String), text: 'Rest', done: false },
    ])
    const twice = [
      { id: 'a', text: 'x' },
      { id: 'a', text: 'y' },
    ]
    for (const wrong of [[{}], [{ text: '' }], [{ text: 'x', done: 'yes' }], [{ text: 'x', due: 1 }], ['x'], {}, twice])
      expect((await alice.patch(`/tasks/${id}`, { checklist: wrong })).status).toBe(400)
  })

  test('is ticked off step by step, also by many at once', async () => {
    const steps = Array.from({ length: 6 }, (_none, n) => ({ id: `step ${n}`, text: `Step ${n}` }))
    const { id } = await alice.build('task', { checklist: steps, assigneeIds: [bob.userId, alice.userId] })
    const tick = (n: number) =>
      (n % 2 ? bob : alice).patch(`/tasks/${id}/checklist/${encodeURIComponent(`step ${n}`)}`, { done: true })
    await Promise.all(steps.map((_step, n) => tick(n)))
    const { body } = await alice.get(`/tasks/${id}`)
    expect(body.checklist.map(({ done }: { done: boolean }) => done)).toEqual(steps.map(() => true))
    expect(body.version).toBe(7)
    expect((await tick(3)).body.version).toBe(7)
    const path = `/tasks/${id}/checklist/step%200`
    expect((await alice.patch(path, { text: 'Renamed' }, { 'If-Match': '"7"' })).body.checklist[0]).toEqual({
      id: 'step 0',
      text: 'Renamed',
      done: true,
    })
    expect((await alice.patch(path, { text: 'x' }, { 'If-Match': '"7"' })).status).toBe(412)
    for (const wrong of [{ text: '' }, { done: 'yes' }, { id: 'x' }])
      expect((await alice.patch(path, wrong)).status).toBe(400)
    expect((await alice.patch(`/tasks/${id}/checklist/none`, { done: true })).status).toBe(404)
    expect((await house.charlie.patch(path, { done: false })).status).toBe(404)
    const vera = await house.join('Vera', 'viewer')
    expect((await vera.patch(path, { done: false })).status).toBe(403)
  })
})

describe('subtasks', () => {
  test('are listed by their parent, and stay when it is completed or deleted', async () => {
    const parent = await alice.build('task')
    const child = await alice.build('task', { parentId: parent.id })
    const listed = async () => (await alice.get(`/tasks?parentId=${parent.id}`)).body.data
    expect(await listed()).toEqual([child])
    expect((await alice.post(`/tasks/${parent.id}/complete`)).body.status).toBe('completed')
    expect(await listed()).toEqual([child])
    await alice.delete(`/tasks/${parent.id}`)
    expect(await listed()).toEqual([child])
    expect((await alice.patch(`/tasks/${child.id}`, { title: 'Alone' })).body.parentId).toBe(parent.id)
    expect((await alice.post('/tasks', { title: 'x', parentId: parent.id })).body.errors?.[0]?.path).toBe('parentId')
    await alice.post(`/tasks/${parent.id}/restore`)
    expect((await alice.get(`/tasks/${child.id}?include=parent`)).body.parent.id).toBe(parent.id)
    const cycle = await alice.patch(`/tasks/${parent.id}`, { parentId: child.id })
    expect([cycle.status, cycle.body.code]).toEqual([422, 'PARENT_CYCLE'])
  })

  test('are completed with their parent when it is asked, all or none', async () => {
    const parent = await alice.build('task')
    const child = await alice.build('task', { parentId: parent.id, status: 'in_progress' })
    const grandchild = await alice.build('task', { parentId: child.id, assigneeIds: [bob.userId] })
    const cancelled = await alice.build('task', { parentId: parent.id, status: 'cancelled' })
    const statusOf = async ({ id }: { id: string }) => (await alice.get(`/tasks/${id}`)).body.status
    const his = await alice.build('task', { assigneeIds: [bob.userId] })
    await alice.build('task', { parentId: his.id })
    expect((await bob.post(`/tasks/${his.id}/complete`, { subtasks: 'complete' })).status).toBe(403)
    expect(await statusOf(his)).toBe('open')
    expect((await alice.post(`/tasks/${parent.id}/complete`, { subtasks: 'yes' })).status).toBe(400)
    const done = await alice.post(`/tasks/${parent.id}/complete`, { subtasks: 'complete' })
    expect(done.body).toMatchObject({ id: parent.id, status: 'completed' })
    expect(await Promise.all([child, grandchild, cancelled].map(statusOf))).toEqual([
      'completed',
      'completed',
      'cancelled',
    ])
  })
})
