import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const ended = (id: string) =>
  eventually(async () => {
    const { body } = await alice.get(`/hand-overs/${id}`)
    return ['completed', 'failed'].includes(body.status) ? body : undefined
  }, `the end of the hand-over ${id}`)

describe('who leaves', () => {
  test('hands over records, tasks, teams and reports in one call, and is signed out', async () => {
    const leo = await house.join('Leo', 'member', { managerId: alice.userId })
    const nora = await house.join('Nora', 'member', { managerId: leo.userId })
    const team = await alice.build('team', { name: randomUUID(), managerId: leo.userId })
    await alice.patch(`/users/${bob.userId}`, { managerId: leo.userId })
    const [deal, company, lead, archived, deleted] = [
      await leo.build('deal'),
      await leo.build('company'),
      await leo.build('lead'),
      await leo.build('contact'),
      await leo.build('contact'),
    ]
    await leo.post(`/contacts/${archived.id}/archive`)
    await leo.delete(`/contacts/${deleted.id}`)
    const operations = Array.from({ length: 230 }, (_, index) => ({
      op: 'create',
      data: { firstName: `No. ${index}` },
    }))
    await leo.post('/contacts/bulk', { operations })
    const task = await alice.build('task', { assigneeIds: [leo.userId, alice.userId] })
    const shared = await alice.build('task', { assigneeIds: [bob.userId, leo.userId] })
    const others = await alice.build('deal')

    const asked = await alice.post(`/users/${leo.userId}/deactivate`, { handOverTo: bob.userId })
    expect([asked.status, asked.headers.get('location')]).toEqual([202, `/api/v1/hand-overs/${asked.body.id}`])
    expect((await leo.get('/auth/me')).status).toBe(401)
    const done = await ended(asked.body.id)
    expect(done).toMatchObject({
      status: 'completed',
      fromId: leo.userId,
      toId: bob.userId,
      total: 239,
      processed: 239,
      moved: { contact: 231, deal: 1, company: 1, lead: 1, task: 2, team: 1, user: 2 },
    })
    expect((await alice.get(`/contacts?ownerId=${leo.userId}&count=exact`)).body.page.total).toBe(0)
    expect((await alice.get(`/contacts?ownerId=${bob.userId}&count=exact`)).body.page.total).toBe(230)
    for (const path of [
      `/deals/${deal.id}`,
      `/companies/${company.id}`,
      `/leads/${lead.id}`,
      `/contacts/${archived.id}`,
    ])
      expect([path, (await alice.get(path)).body.ownerId]).toEqual([path, bob.userId])
    expect((await alice.get(`/tasks/${task.id}`)).body.assigneeIds).toEqual([bob.userId, alice.userId])
    expect((await alice.get(`/tasks/${shared.id}`)).body.assigneeIds).toEqual([bob.userId])
    expect((await alice.get(`/teams/${team.id}`)).body.managerId).toBe(bob.userId)
    expect((await alice.get(`/users/${nora.userId}`)).body.managerId).toBe(bob.userId)
    expect((await alice.get(`/users/${bob.userId}`)).body.managerId).toBe(alice.userId)
    expect((await alice.get(`/deals/${others.id}`)).body).toMatchObject({ ownerId: alice.userId, version: 1 })
    const told = await alice.timeline('deal', deal.id, 2)
    expect(told.at(-1)).toMatchObject({
      actor: { name: 'Alice' },
      changes: [{ field: 'ownerId', newValue: bob.userId }],
    })
    expect((await bob.patch(`/deals/${deal.id}`, { value: 7 })).status).toBe(200)
  })

  test('keeps nothing back in silence: who asked is told that it failed, and can ask again', async () => {
    const leo = await house.join('Leo', 'member')
    const lead = await leo.build('lead')
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(`
        create function stand_still() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
        create trigger stand_still before update on leads for each row execute function stand_still()`),
    )
    const first = await alice.post(`/users/${leo.userId}/deactivate`, { handOverTo: bob.userId })
    expect(await ended(first.body.id)).toMatchObject({ status: 'failed', processed: 0 })
    await eventually(async () => {
      const { data } = (await alice.get('/notifications?type=handover.failed')).body
      return data.length === 1 && data[0].message === 'Not all that “Leo” had could be handed over; ask for it again'
    }, 'the news for Alice')
    await asOwner(house.ownerUrl, (owner) => owner.query('drop trigger stand_still on leads'))
    const second = await alice.post(`/users/${leo.userId}/deactivate`, { handOverTo: bob.userId })
    expect(await ended(second.body.id)).toMatchObject({ status: 'completed', moved: { lead: 1 } })
    expect((await alice.get(`/leads/${lead.id}`)).body.ownerId).toBe(bob.userId)
  }, 120_000)

  test('can hand over later what he still has, and leaves alone what he has not', async () => {
    const leo = await house.join('Leo', 'member')
    const deal = await leo.build('deal')
    const at = `/users/${leo.userId}/deactivate`
    const alone = await alice.post(at)
    expect([alone.status, alone.body.active, alone.headers.get('etag')]).toEqual([200, false, '"2"'])
    expect((await alice.get(`/deals/${deal.id}`)).body.ownerId).toBe(leo.userId)
    const [one, two] = await Promise.all([
      alice.post(at, { handOverTo: bob.userId }),
      alice.post(at, { handOverTo: bob.userId }),
    ])
    const both = [await ended(one.body.id), await ended(two.body.id)]
    expect(both.map(({ status }) => status)).toEqual(['completed', 'completed'])
    expect(both[0].processed + both[1].processed).toBe(1)
    expect((await alice.get(`/deals/${deal.id}`)).body).toMatchObject({ ownerId: bob.userId, version: 2 })
  })

  test('is made to by administrators, for an active colleague', async () => {
    const leo = await house.join('Leo', 'member')
    const gone = await house.join('Gone', 'member')
    await alice.post(`/users/${gone.userId}/deactivate`)
    const at = `/users/${leo.userId}/deactivate`
    for (const handOverTo of [leo.userId, gone.userId, house.charlie.userId, randomUUID(), 'x']) {
      const { status, body } = await alice.post(at, { handOverTo })
      expect([status, body.errors?.[0].path]).toEqual([400, 'handOverTo'])
    }
    expect((await leo.get('/auth/me')).status).toBe(200)
    expect((await bob.post(at, { handOverTo: bob.userId })).status).toBe(403)
    expect((await house.charlie.post(at)).status).toBe(404)
    const adam = await house.join('Adam', 'admin')
    expect((await adam.post(`/users/${alice.userId}/deactivate`)).status).toBe(403)
    expect((await alice.post(`/users/${alice.userId}/deactivate`)).body.code).toBe('LAST_OWNER')
    expect((await alice.post(at, {}, { 'If-Match': '"7"' })).status).toBe(412)
    const asked = await alice.post(at, { handOverTo: bob.userId })
    expect((await bob.get(`/hand-overs/${asked.body.id}`)).status).toBe(404)
    expect((await house.charlie.get(`/hand-overs/${asked.body.id}`)).status).toBe(404)
  })
})

describe('teams below teams', () => {
  test('are led by who leads the one above, at any depth', async () => {
    const mary = await house.join('Mary', 'manager')
    const top = await alice.build('team', { name: randomUUID(), managerId: mary.userId })
    const middle = await alice.build('team', { name: randomUUID(), parentId: top.id })
    const low = await alice.build('team', { name: randomUUID(), parentId: middle.id })
    const nora = await house.join('Nora', 'member', { teamId: low.id })
    const { id } = await nora.build('deal')
    let value = 0
    const write = async () => (await mary.patch(`/deals/${id}`, { value: ++value })).status
    expect(await write()).toBe(200)
    await alice.patch(`/teams/${middle.id}`, { parentId: null })
    expect(await write()).toBe(403)
    await alice.patch(`/users/${mary.userId}`, { teamId: middle.id })
    expect(await write()).toBe(200)
    expect((await alice.get(`/teams/${low.id}?include=parent`)).body.parent.id).toBe(middle.id)
    expect((await alice.get(`/teams?parentId=${middle.id}`)).body.data).toHaveLength(1)
  })

  test('never stand below themselves, also when two hang each other up', async () => {
    const [a, b] = [
      await alice.build('team', { name: randomUUID() }),
      await alice.build('team', { name: randomUUID() }),
    ]
    const answers = await Promise.all([
      alice.patch(`/teams/${a.id}`, { parentId: b.id }),
      alice.patch(`/teams/${b.id}`, { parentId: a.id }),
    ])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.find(({ status }) => status !== 200)?.body.code).toBe('PARENT_CYCLE')
    expect((await alice.patch(`/teams/${a.id}`, { parentId: a.id })).body.code).toBe('PARENT_CYCLE')
    const foreign = await house.charlie.build('team', { name: randomUUID() })
    expect((await alice.patch(`/teams/${a.id}`, { parentId: foreign.id })).body.errors[0].path).toBe('parentId')
    expect((await house.nobody.post('/auth/login', { email: bob.email, password })).status).toBe(200)
  })
})
