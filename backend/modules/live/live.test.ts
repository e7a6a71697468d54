import { decode, sign } from 'jsonwebtoken'
import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { parseEventId } from './place.ts'

let house: TestApp
let open: Listener[] = []

beforeAll(async () => {
  house = await startTestApp()
})
afterEach(() => {
  for (const { socket } of open) socket.disconnect()
  open = []
})
afterAll(() => house.stop())

describe('who is let in', () => {
  test.each([{}, { token: '' }, { token: 12 }, { token: 'no token' }])('nobody with %j', async (auth) => {
    await expect(listen(house.url, auth)).rejects.toMatchObject({ data: { code: 'UNAUTHENTICATED' } })
  })

  test('nobody with an expired token, or one of a session that has ended', async () => {
    const expired = await listen(house.url, { token: tokenFor(house.bob, -1) }).catch((error) => error)
    expect(expired.data.code).toBe('UNAUTHENTICATED')
    const dora = await house.join('Dora', 'member')
    await dora.post('/auth/logout')
    const ended = await listen(house.url, { token: dora.token }).catch((error) => error)
    expect(ended.data.code).toBe('UNAUTHENTICATED')
  })

  test('who signs out loses his sockets, the others stay', async () => {
    const dora = await house.join('Dora', 'member')
    const [hers, bobs] = [await listen(house.url, dora), await listen(house.url, house.bob)]
    await dora.post('/auth/logout')
    await hers.gone
    expect(hers.heard.at(-1)).toMatchObject({ name: 'connection:closing', body: { reason: 'session_ended' } })
    expect(bobs.socket.connected).toBe(true)
  })

  test('who is deactivated loses them at another process too', async () => {
    const other = await house.another()
    const dora = await house.join('Dora', 'member')
    const hers = await listen(other.url, dora)
    await house.alice.patch(`/users/${dora.userId}`, { active: false })
    await hers.gone
    expect(hers.heard.at(-1)).toMatchObject({ name: 'connection:closing', body: { reason: 'session_ended' } })
  })

  test('a token that ends is told and then closes, unless another one is sent', async () => {
    const [lost, kept] = [
      await listen(house.url, { token: tokenFor(house.bob, 2) }),
      await listen(house.url, { token: tokenFor(house.bob, 2) }),
    ]
    await kept.hears('auth:expiring', 1)
    // News of rights have every socket of the tenant checked anew.
    await house.alice.build('role', { name: 'Newly made' })
    expect(await kept.ask('auth:refresh', { token: house.charlie.token })).toMatchObject({
      error: { code: 'FORBIDDEN' },
    })
    expect(await kept.ask('auth:refresh', { token: 'x' })).toMatchObject({ error: { code: 'UNAUTHENTICATED' } })
    expect(await kept.ask('auth:refresh', { token: house.bob.token })).toEqual({ ok: true })
    await lost.gone
    expect(lost.heard.map(({ name }) => name)).toEqual(['auth:expiring', 'connection:closing'])
    expect(lost.heard.at(-1)?.body.reason).toBe('token_expired')
    expect(kept.socket.connected).toBe(true)
  })
})

describe('what is told', () => {
  test('changes of a resource reach a colleague over either transport, and nobody of another tenant', async () => {
    const [bobs, charlies] = [await listen(house.url, house.bob, ['polling']), await listen(house.url, house.charlie)]
    expect(await bobs.ask('subscribe', { type: 'contact' })).toEqual({ ok: true })
    expect(await charlies.ask('subscribe', { type: 'contact' })).toEqual({ ok: true })
    const { id } = await house.alice.build('contact')
    await house.alice.patch(`/contacts/${id}`, { firstName: 'Augusta' })
    await house.alice.post(`/contacts/${id}/archive`)
    await house.alice.delete(`/contacts/${id}`)
    await house.alice.post(`/contacts/${id}/restore`)
    const heard = await bobs.hears(/^record:/, 5)
    expect(heard.map(({ name, body }) => [name, body.type, body.id, body.version])).toEqual([
      ['record:created', 'contact', id, 1],
      ['record:updated', 'contact', id, 2],
      ['record:updated', 'contact', id, 3],
      ['record:deleted', 'contact', id, 4],
      ['record:created', 'contact', id, 5],
    ])
    expect(charlies.heard).toEqual([])
  })

  test('who follows a record and its resource hears each change once, with its activity', async () => {
    const deal = await house.alice.build('deal')
    const bobs = await listen(house.url, house.bob)
    await bobs.ask('subscribe', { type: 'deal' })
    await bobs.ask('subscribe', { type: 'deal', id: deal.id })
    await house.alice.post(`/deals/${deal.id}/win`)
    // Who follows so soon may still hear of the creation.
    const activity = await eventually(
      async () => bobs.heard.find(({ name, body }) => name === 'activity:new' && body.action !== 'created'),
      'the activity of the win',
    )
    const [shown] = (await house.alice.timeline('deal', deal.id, 2)).slice(-1)
    expect(activity.body).toEqual({ ...shown, eventId: expect.any(String) })
    expect(bobs.heard.filter(({ body }) => body.version === 2)).toHaveLength(1)
    await bobs.ask('unsubscribe', { type: 'deal' })
    await bobs.ask('unsubscribe', { type: 'deal', id: deal.id })
    const before = bobs.heard.length
    await house.alice.post(`/deals/${deal.id}/reopen`)
    const [heard] = await heardByNow(bobs)
    expect(heard).toHaveLength(before)
  })

  test('an assignment reaches the inbox of every device, and so does its being read', async () => {
    const [desk, phone] = [await listen(house.url, house.bob), await listen(house.url, house.bob)]
    await house.alice.build('deal', { ownerId: house.bob.userId })
    const [told] = await desk.hears('notification:new', 1)
    const { eventId, ...notification } = told?.body ?? {}
    expect((await house.bob.get(`/notifications/${notification.id}`)).body).toEqual(notification)
    expect((await phone.hears('notification:new', 1))[0]?.body.eventId).toBe(eventId)
    const { unreadCount } = (await house.bob.get('/notifications/unread-count')).body
    expect(await desk.ask('notification:read', { id: notification.id })).toEqual({ ok: true })
    expect((await phone.hears('notification:updated', 1))[0]?.body).toMatchObject({ id: notification.id, read: true })
    expect((await phone.hears('notification:unread-count', 1))[0]?.body.unreadCount).toBe(unreadCount - 1)
    await house.bob.delete(`/notifications/${notification.id}`)
    const [, deleted] = await phone.hears('notification:updated', 2)
    expect(deleted?.body).toMatchObject({ id: notification.id, deleted: true })
    await house.alice.build('deal', { ownerId: house.bob.userId })
    await desk.hears('notification:new', 2)
    await house.bob.post('/notifications/mark-all-read')
    expect((await phone.hears('notification:unread-count', 3)).at(-1)?.body.unreadCount).toBe(0)
  })

  test('the versions of a record come in order, though transactions cross each other', async () => {
    const contacts = await Promise.all(Array.from({ length: 4 }, () => house.alice.build('contact')))
    const bobs = await listen(house.url, house.bob)
    await bobs.ask('subscribe', { type: 'contact' })
    const changes = Array.from({ length: 40 }, (_, round) => {
      const operations = contacts.map(({ id }) => ({ op: 'update', id, data: { lastName: `B${round}` } }))
      return round % 4 === 0
        ? house.alice.post('/contacts/bulk', { operations, atomic: true })
        : house.alice.patch(`/contacts/${contacts[round % 4]?.id}`, { lastName: `P${round}` })
    })
    await Promise.all(changes)
    const heard = await bobs.hears('record:updated', 10 * 4 + 30)
    for (const { id } of contacts) {
      const versions = heard.filter(({ body }) => body.id === id).map(({ body }) => body.version)
      expect(versions).toEqual(versions.map((_, index) => index + 2))
    }
  })
})

describe('what is refused', () => {
  test('following what one may not read, or what is not there', async () => {
    const { id } = await house.alice.build('contact')
    const gone = await house.charlie.build('contact')
    await house.charlie.delete(`/contacts/${gone.id}`)
    const charlies = await listen(house.url, house.charlie)
    const wanted = [
      { type: 'contact', id },
      { type: 'contact', id: gone.id },
      { type: 'contact', id: 'x' },
      { type: 'unicorn' },
      { type: '__proto__' },
    ]
    for (const payload of wanted) {
      expect(await charlies.ask('subscribe', payload)).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
    }
  })

  test('what is no request, with the connection alive afterwards', async () => {
    const bobs = await listen(house.url, house.bob)
    for (const payload of [null, 1, '', [], {}, { type: 7 }, { type: 'contact', id: null }, { type: 'deal', x: 1 }]) {
      expect(await bobs.ask('subscribe', payload)).toMatchObject({ error: { code: 'VALIDATION_FAILED' } })
    }
    expect(await bobs.ask('notification:read', { id: 'x' })).toMatchObject({ error: { code: 'NOT_FOUND' } })
    expect(await bobs.ask('follow', {})).toMatchObject({ error: { code: 'NOT_FOUND' } })
    bobs.socket.emit('subscribe')
    bobs.socket.emit('subscribe', Buffer.from('deal'), () => {}, { type: 'deal' })
    expect(await bobs.ask('subscribe', { type: 'deal' })).toEqual({ ok: true })
  })

  test('more than a client can need', async () => {
    const bobs = await listen(house.url, house.bob)
    const asked = Array.from({ length: 1_400 }, () => bobs.ask('unsubscribe', { type: 'deal' }))
    const limited = (await Promise.all(asked)).filter((answer) => !answer.ok)
    expect(limited.length).toBeGreaterThan(100)
    expect(limited[0]).toMatchObject({ error: { code: 'RATE_LIMITED' } })
  })
})

describe('who comes back', () => {
  test('gets what he missed, each once, in order, with the event ids of who stayed, from another process', async () => {
    const other = await house.another()
    const contact = await house.alice.build('contact')
    const follow = async (listener: Listener): Promise<Listener> => {
      await listener.ask('subscribe', { type: 'contact' })
      await listener.ask('subscribe', { type: 'contact', id: contact.id })
      return listener
    }
    const stayed = await follow(await listen(house.url, house.bob))
    const left = await follow(await listen(house.url, house.bob))
    const rename = (lastName: string) => house.alice.patch(`/contacts/${contact.id}`, { lastName })
    await rename('first')
    await left.hears('activity:new', 1)
    left.socket.disconnect()
    for (let round = 0; round < 5; round++) await rename(`missed ${round}`)
    await house.alice.build('deal', { ownerId: house.bob.userId })
    await stayed.hears('notification:new', 1)
    const back = await listen(other.url, { token: house.bob.token, after: left.heard.at(-1)?.body.eventId })
    await Promise.all([follow(back), rename('on the seam')])
    await rename('live')
    await stayed.hears('activity:new', 8)
    await back.hears('activity:new', 7)
    const ids = (heard: readonly Heard[] = []) => heard.map(({ name, body }) => `${name} ${body.eventId}`)
    const [ofStayed, ofBack] = (await heardByNow(stayed, back)).map(ids)
    const [first] = ids(left.heard)
    expect([...ids(left.heard), ...(ofBack ?? [])]).toEqual(ofStayed?.slice(ofStayed.indexOf(first ?? '')))

    const again = await listen(other.url, { token: house.bob.token, after: back.heard.at(-1)?.body.eventId })
    await follow(again)
    expect(await heardByNow(again)).toEqual([[]])
  })

  test('gets his notifications at once, and those of a late subscription after its acknowledgement', async () => {
    const deal = await house.alice.build('deal')
    const first = await listen(house.url, house.bob)
    await first.ask('subscribe', { type: 'deal' })
    await house.alice.patch(`/deals/${deal.id}`, { name: 'seen' })
    await first.hears('record:updated', 1)
    first.socket.disconnect()
    await house.alice.patch(`/deals/${deal.id}`, { name: 'missed' })
    await house.alice.post('/tasks', { title: 'Call them', assigneeIds: [house.bob.userId] })
    await eventually(
      async () => (await house.bob.get('/notifications?type=task.assigned')).body.data.length > 0,
      'the notification of the task',
    )
    const back = await listen(house.url, { token: house.bob.token, after: first.heard.at(-1)?.body.eventId })
    await back.hears('notification:new', 1)
    expect(back.heard).toHaveLength(1)
    await back.ask('subscribe', { type: 'deal' })
    expect((await back.hears('record:updated', 1))[0]?.body).toMatchObject({ id: deal.id, version: 3 })
    await back.ask('subscribe', { type: 'deal', id: deal.id })
    expect((await back.hears('activity:new', 1))[0]?.body.entityId).toBe(deal.id)
    const [heard] = await heardByNow(back)
    expect(heard?.filter(({ name }) => name === 'record:updated')).toHaveLength(1)
  })

  test.each(['what?', '1.2', '3.1.0', 12])('after %j is told that something may be missing', async (after) => {
    const back = await listen(house.url, { token: house.bob.token, after })
    await back.hears('replay:gap', 1)
  })

  test('is told why when the server stops, and comes back by himself', async () => {
    const short = await startTestApp()
    const bobs = await listen(short.url, short.bob)
    await short.stop()
    expect(await bobs.gone).toBe('transport close')
    expect(bobs.heard.at(-1)).toMatchObject({ name: 'connection:closing', body: { reason: 'server_stopping' } })
  })
})

/** A message as a socket got it. */
interface Heard {
  readonly name: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  readonly body: any
}

interface Listener {
  readonly socket: Socket
  readonly heard: readonly Heard[]
  /** Why the connection ended. */
  readonly gone: Promise<string>
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects
  ask(name: string, payload: unknown): Promise<any>
  /** Waits for as many messages of a name. */
  hears(name: string | RegExp, count: number): Promise<Heard[]>
}

/** Connects; fails as the client's library does when the connection is refused. */
async function listen(url: string, auth: object, transports = ['websocket']): Promise<Listener> {
  const { token, after } = { after: undefined, token: undefined, ...auth }
  const socket = io(url, { path: '/ws', auth: { token, after }, transports, forceNew: true, reconnection: false })
  const heard: Heard[] = []
  socket.onAny((name: string, body: unknown) => heard.push({ name, body }))
  const gone = new Promise<string>((resolve) => socket.once('disconnect', resolve))
  const listener: Listener = {
    socket,
    heard,
    gone,
    ask: (name, payload) => socket.timeout(10_000).emitWithAck(name, payload),
    hears: (name, count) => {
      const wanted = () =>
        heard.filter((each) => (typeof name === 'string' ? each.name === name : name.test(each.name)))
      return eventually(async () => wanted().length >= count && wanted(), `${count} times ${name}`)
    },
  }
  open.push(listener)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', reject)
  })
  return listener
}

/** A token of the client's session that is good for so many seconds. */
function tokenFor(client: Client, seconds: number): string {
  const { sub, tid, role, sid } = Object(decode(client.token))
  return sign({ sub, tid, role, sid }, house.config.jwtSecret, { expiresIn: seconds })
}

/** What sockets of Bob's have heard before he was told of a deal that he is given now: whatever was to come has come by then. */
async function heardByNow(...listeners: Listener[]): Promise<Heard[][]> {
  const deal = await house.alice.build('deal', { ownerId: house.bob.userId })
  return Promise.all(
    listeners.map(async ({ heard }) => {
      const told = await eventually(
        async () => heard.find(({ name, body }) => name === 'notification:new' && body.entityId === deal.id),
        'the notification of a deal that was given',
      )
      const { place } = parseEventId(told.body.eventId) ?? {}
      return heard.filter(({ body }) => {
        const at = parseEventId(body.eventId)?.place
        return body.id !== deal.id && (at?.tx !== place?.tx || at?.seq !== place?.seq)
      })
    }),
  )
}
