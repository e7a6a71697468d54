import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice } = house)
})
afterAll(() => house.stop())

const at = (day: number) => `2026-03-${String(day).padStart(2, '0')}T09:00:00.000Z`
const of = (...contacts: { id: string }[]) => contacts.map(({ id }) => ({ type: 'contact', id }))
const lastContact = async ({ id }: { id: string }) => (await alice.get(`/contacts/${id}`)).body.lastContactedAt

describe('an interaction', () => {
  test('took place now unless it says when, with contacts and users', async () => {
    const ada = await alice.build('contact')
    const participants = [...of(ada), { type: 'user', id: house.bob.userId }]
    const call = await alice.build('interaction', { direction: 'outbound', participants, durationMinutes: 12 })
    expect(call).toMatchObject({ type: 'call', participants, durationMinutes: 12, subject: null })
    expect(Math.abs(Date.parse(String(call.occurredAt)) - Date.now())).toBeLessThan(60_000)
    const { data } = (await alice.get(`/interactions?participants=${house.bob.userId}`)).body
    expect(data).toEqual([call])
    expect((await alice.get(`/interactions?type=call&direction=outbound&sort=-occurredAt`)).body.data).toContainEqual(
      call,
    )
  })

  test.each([
    [{}, 'type'],
    [{ type: 'smoke' }, 'type'],
    [{ type: 'call', direction: 'up' }, 'direction'],
    [{ type: 'call', occurredAt: 'yesterday' }, 'occurredAt'],
    [{ type: 'call', occurredAt: null }, 'occurredAt'],
    [{ type: 'call', durationMinutes: -1 }, 'durationMinutes'],
    [{ type: 'call', participants: [{ type: 'deal', id: crypto.randomUUID() }] }, 'participants.0.type'],
    [{ type: 'call', participants: [{ type: 'contact', id: crypto.randomUUID() }] }, 'participants'],
  ])('%j is 400', async (body, path) => {
    const answer = await alice.post('/interactions', body)
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path])
  })
})

describe('the last contact', () => {
  test('moves forward with each interaction, and never back', async () => {
    const ada = await alice.build('contact')
    expect(ada.lastContactedAt).toBeNull()
    await alice.build('interaction', { participants: of(ada), occurredAt: at(5) })
    expect(await lastContact(ada)).toBe(at(5))
    await alice.build('interaction', { participants: of(ada), occurredAt: at(3) })
    expect((await alice.get(`/contacts/${ada.id}`)).body).toMatchObject({ lastContactedAt: at(5), version: 2 })
    expect((await alice.patch(`/contacts/${ada.id}`, { lastContactedAt: at(9) })).status).toBe(400)
  })

  test('is of who took part; of whom it is about only when no contact did', async () => {
    const [ada, ben] = [await alice.build('contact'), await alice.build('contact')]
    await alice.build('interaction', { participants: of(ada), related: of(ben), occurredAt: at(5) })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(5), null])
    const participants = [{ type: 'user', id: alice.userId }]
    await alice.build('interaction', { participants, related: of(ben), occurredAt: at(6) })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(5), at(6)])
  })

  test('is worked out anew when an interaction changes, goes or comes back', async () => {
    const [ada, ben] = [await alice.build('contact'), await alice.build('contact')]
    await alice.build('interaction', { participants: of(ada), occurredAt: at(2) })
    const { id } = await alice.build('interaction', { participants: of(ada), occurredAt: at(8) })
    const path = `/interactions/${id}`
    await alice.patch(path, { occurredAt: at(4) })
    expect(await lastContact(ada)).toBe(at(4))
    await alice.patch(path, { participants: of(ben) })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(2), at(4)])
    await alice.delete(path)
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(2), null])
    await alice.post(`${path}/restore`)
    expect(await lastContact(ben)).toBe(at(4))
    await alice.put(path, { type: 'email', participants: of(ada, ben), occurredAt: at(7) })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(7), at(7)])
    await alice.post(`${path}/archive`)
    expect(await lastContact(ada)).toBe(at(7))
  })

  test('follows every way of writing: bulk, upsert and a repeated key', async () => {
    const ada = await alice.build('contact')
    const data = (day: number) => ({ type: 'call', participants: of(ada), occurredAt: at(day) })
    const operations = [3, 6, 4].map((day) => ({ op: 'create', data: data(day) }))
    const bulk = await alice.post('/interactions/bulk', { operations })
    expect(await lastContact(ada)).toBe(at(6))
    const [, latest] = bulk.body.results
    await alice.post('/interactions/bulk', { operations: [{ op: 'delete', id: latest.id }], atomic: true })
    expect(await lastContact(ada)).toBe(at(4))
    const key = { 'Idempotency-Key': crypto.randomUUID() }
    const first = await alice.post('/interactions', data(10), key)
    const again = await alice.post('/interactions', data(10), key)
    expect([first.status, again.status, again.body.id]).toEqual([201, 201, first.body.id])
    await alice.put('/interactions/by-external-id/call-1', data(12))
    expect(await lastContact(ada)).toBe(at(12))
    expect((await alice.get(`/interactions?participants=${ada.id}&count=exact`)).body.page.total).toBe(4)
  })

  test('is the latest of many at once, and the events of the contact tell of each move', async () => {
    const ada = await alice.build('contact')
    const made = await Promise.all(
      Array.from({ length: 12 }, (_none, day) =>
        alice.build('interaction', { participants: of(ada), occurredAt: at(1 + ((day * 5) % 12)) }),
      ),
    )
    expect(await lastContact(ada)).toBe(at(12))
    const removed = made.filter(({ occurredAt }) => String(occurredAt) >= at(7))
    const added = Array.from({ length: 3 }, (_none, day) => ({ participants: of(ada), occurredAt: at(4 + day) }))
    await Promise.all([
      ...removed.map(({ id }) => alice.delete(`/interactions/${id}`)),
      ...added.map((values) => alice.build('interaction', values)),
    ])
    const { version, lastContactedAt } = (await alice.get(`/contacts/${ada.id}`)).body
    expect(lastContactedAt).toBe(at(6))
    const told = await alice.timeline('contact', ada.id, version)
    expect(told).toHaveLength(version)
    expect(told[1]).toMatchObject({
      action: 'updated',
      description: 'Alice was in contact with “Ada Lovelace”',
      changes: [{ field: 'lastContactedAt', oldValue: null }],
      metadata: { verb: 'contacted', interactionId: expect.any(String) },
    })
  })

  test('follows whoever logs the interaction, and one that was deleted knows of it when it comes back', async () => {
    const [ada, ben] = [await alice.build('contact'), await alice.build('contact')]
    const his = await house.bob.build('interaction', { participants: of(ada, ben), occurredAt: at(5) })
    expect(await lastContact(ada)).toBe(at(5))
    expect((await house.bob.patch(`/contacts/${ada.id}`, { firstName: 'x' })).status).toBe(403)
    await alice.delete(`/contacts/${ben.id}`)
    expect((await house.bob.patch(`/interactions/${his.id}`, { occurredAt: at(9) })).status).toBe(200)
    const restored = await alice.post(`/contacts/${ben.id}/restore`)
    expect(await lastContact(ada)).toBe(at(9))
    expect(restored.body).toMatchObject({ lastContactedAt: at(9), version: 5 })
    const other = await house.charlie.post('/interactions', { type: 'call', participants: of(ada) })
    expect([other.status, other.body.errors?.[0]?.path]).toEqual([400, 'participants'])
    expect((await house.charlie.patch(`/interactions/${his.id}`, { occurredAt: at(1) })).status).toBe(404)
  })

  test('is what is planned when its time has come, and not before', async () => {
    const [ada, ben] = [await alice.build('contact'), await alice.build('contact')]
    const operator = await house.operator()
    const turn = (body?: unknown) => operator.post('/admin/jobs/schedules/contacts.contacted/run', body)
    await alice.build('interaction', { participants: of(ada), occurredAt: at(5) })
    const occurredAt = new Date(Date.now() + 1_500).toISOString()
    const meeting = await alice.build('interaction', { type: 'meeting', participants: of(ada, ben), occurredAt })
    const later = await alice.build('interaction', { participants: of(ada), occurredAt: '2099-01-01T00:00:00.000Z' })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(5), null])
    await eventually(async () => {
      const { counts } = (await turn({ dryRun: true })).body
      return counts.interactions === 1 || (await lastContact(ben)) !== null
    }, 'the time of the meeting')
    await turn()
    await eventually(async () => (await lastContact(ben)) !== null, 'that the meeting is known')
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([occurredAt, occurredAt])
    const [, , met] = await alice.timeline('contact', ada.id, 3)
    expect(met).toMatchObject({
      description: 'Alice was in contact with “Ada Lovelace”',
      metadata: { verb: 'contacted', interactionId: meeting.id },
    })
    expect((await turn({ dryRun: true })).body.counts).toEqual({ interactions: 0 })
    await alice.patch(`/interactions/${meeting.id}`, { occurredAt: '2098-01-01T00:00:00.000Z' })
    expect([await lastContact(ada), await lastContact(ben)]).toEqual([at(5), null])
    await alice.patch(`/interactions/${later.id}`, { occurredAt: at(9) })
    expect(await lastContact(ada)).toBe(at(9))
  })

  test('a change with a stale version moves nothing', async () => {
    const ada = await alice.build('contact')
    const { id } = await alice.build('interaction', { participants: of(ada), occurredAt: at(5) })
    const stale = await alice.patch(`/interactions/${id}`, { occurredAt: at(9) }, { 'If-Match': '"7"' })
    expect([stale.status, await lastContact(ada)]).toEqual([412, at(5)])
  })
})
