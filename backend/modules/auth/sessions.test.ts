import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { App } from '../../app.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { mailedToken } from '../../test/mailbox.ts'

let house: TestApp
let other: App
let alice: Client
const sockets: Socket[] = []

beforeAll(async () => {
  house = await startTestApp()
  other = await house.another()
  alice = house.alice
})
afterAll(async () => {
  for (const socket of sockets) socket.disconnect()
  await house.stop()
})

const signIn = async (email: string, url = house.url): Promise<Client> => {
  const { status, body } = await house.nobody.post('/auth/login', { email, password })
  expect(status).toBe(200)
  return createClient(url, body)
}

/** The same session at the door of the other process. */
const there = (who: Client) =>
  createClient(other.url, {
    user: { id: who.userId, email: who.email },
    tenant: { id: who.tenantId },
    accessToken: who.token,
    refreshToken: who.refreshToken,
  })

/** A socket of a session, and the reason why the server closed it. */
async function listen(url: string, who: Client): Promise<{ closed: Promise<string> }> {
  const socket = io(url, { path: '/ws', auth: { token: who.token }, transports: ['websocket'], reconnection: false })
  sockets.push(socket)
  const closed = new Promise<string>((resolve) => {
    socket.on('connection:closing', ({ reason }) => resolve(reason))
  })
  await new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(undefined))
    socket.once('connect_error', reject)
  })
  return { closed }
}

describe('a session that is signed out', () => {
  const ways: [string, (ended: Client) => Promise<{ status: number }>][] = [
    ['by itself', (ended) => ended.post('/auth/logout')],
    [
      'from another device',
      async (ended) => {
        const { data } = (await ended.get('/auth/sessions')).body
        const { id } = data.find(({ current }: { current: boolean }) => current)
        return (await signIn(ended.email)).delete(`/auth/sessions/${id}`)
      },
    ],
    ['with all others', async (ended) => (await signIn(ended.email)).delete('/auth/sessions')],
    ['by an administrator', (ended) => alice.delete(`/users/${ended.userId}/sessions`)],
  ]
  test.each(ways)('%s loses calls and sockets in every process', async (_how, end) => {
    const dora = await house.join('Dora', 'member')
    const away = await there(dora)
    const open = [await listen(house.url, dora), await listen(other.url, dora)]
    expect([(await dora.get('/auth/me')).status, (await away.get('/auth/me')).status]).toEqual([200, 200])
    expect((await end(dora)).status).toBe(204)
    expect((await dora.get('/auth/me')).status).toBe(401)
    await eventually(async () => (await away.get('/auth/me')).status === 401, 'the end in the other process')
    expect(await Promise.all(open.map(({ closed }) => closed))).toEqual(['session_ended', 'session_ended'])
    expect((await house.nobody.post('/auth/refresh', { refreshToken: dora.refreshToken })).status).toBe(401)
  })

  test('leaves the one from which all others were signed out', async () => {
    const first = await house.join('Dora', 'member')
    const [kept, lost] = [await signIn(first.email), await signIn(first.email)]
    expect((await kept.delete('/auth/sessions')).status).toBe(204)
    expect([(await kept.get('/auth/me')).status, (await lost.get('/auth/me')).status]).toEqual([200, 401])
    expect((await kept.get('/auth/sessions')).body.data).toHaveLength(1)
  })

  test('is signed out of others by administrators only, and of owners by owners', async () => {
    const adam = await house.join('Adam', 'admin')
    expect((await house.bob.delete(`/users/${adam.userId}/sessions`)).status).toBe(403)
    expect((await adam.delete(`/users/${alice.userId}/sessions`)).status).toBe(403)
    expect((await house.charlie.delete(`/users/${adam.userId}/sessions`)).status).toBe(404)
    expect((await adam.get('/auth/me')).status).toBe(200)
  })
})

describe('the list of sessions', () => {
  test('tells device, address and last use, which is noted once a minute', async () => {
    const dora = await house.join('Dora', 'member')
    const { data } = (await dora.get('/auth/sessions')).body
    expect(data).toMatchObject([{ current: true, userAgent: 'node', operator: null }])
    expect(data[0].ipAddress).toMatch(/127\.0\.0\.1$/)
    const used = async () => (await dora.get('/auth/sessions')).body.data[0].lastUsedAt
    expect(await used()).toBe(data[0].lastUsedAt)
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(`update sessions set last_used_at = now() - interval '1 hour' where id = $1`, [data[0].id]),
    )
    const away = await there(dora)
    const moved = await eventually(async () => {
      const { lastUsedAt } = (await away.get('/auth/sessions')).body.data[0]
      return Date.now() - Date.parse(lastUsedAt) < 60_000 && lastUsedAt
    }, 'the note of its use')
    for (let calls = 0; calls < 5; calls++) expect(await used()).toBe(moved)
  })
})

describe('somebody in two tenants', () => {
  const both = async () => {
    const dora = await house.found('Doras', 'Dora')
    const made = await alice.post('/users', { name: 'Dora at Acme', email: dora.email, role: 'viewer' })
    const token = await mailedToken(house.config.storageDir, dora.email, /invitation/)
    expect((await dora.post('/invitations/accept', { token })).status).toBe(200)
    // The tenant used last is her own again.
    expect((await dora.post('/auth/switch-tenant', { tenantId: dora.tenantId })).status).toBe(200)
    return { dora, acmeId: made.body.id as string }
  }

  test('sees them, and switches between them', async () => {
    const { dora, acmeId } = await both()
    expect((await dora.get('/auth/me')).body.tenants).toEqual([
      { id: dora.tenantId, name: 'Doras', role: 'owner', suspended: false, current: true },
      { id: alice.tenantId, name: 'Acme', role: 'viewer', suspended: false, current: false },
    ])
    const { status, body } = await dora.post('/auth/switch-tenant', { tenantId: alice.tenantId })
    expect([status, body.user.id, body.tenant.id]).toEqual([200, acmeId, alice.tenantId])
    const atAcme = await createClient(house.url, body)
    expect((await atAcme.get('/auth/me')).body).toMatchObject({ role: 'viewer', tenant: { name: 'Acme' } })
    expect((await atAcme.post('/contacts', { firstName: 'Ada' })).status).toBe(403)
    expect((await dora.post('/contacts', { firstName: 'Ada' })).status).toBe(201)
    expect((await house.nobody.post('/auth/refresh', { refreshToken: atAcme.refreshToken })).status).toBe(200)
  })

  test('signs in to the one used last, unless she is no member there any more or it is suspended', async () => {
    const { dora, acmeId } = await both()
    const olga = await house.operator()
    const home = async () => (await house.nobody.post('/auth/login', { email: dora.email, password })).body.tenant.id
    expect(await home()).toBe(dora.tenantId)
    await dora.post('/auth/switch-tenant', { tenantId: alice.tenantId })
    expect(await home()).toBe(alice.tenantId)
    await alice.patch(`/users/${acmeId}`, { active: false })
    expect(await home()).toBe(dora.tenantId)
    expect((await dora.post('/auth/switch-tenant', { tenantId: alice.tenantId })).status).toBe(400)
    await alice.patch(`/users/${acmeId}`, { active: true })
    await olga.patch(`/admin/tenants/${dora.tenantId}`, { suspended: true, reason: 'No payment' })
    expect(await home()).toBe(alice.tenantId)
    const atAcme = await signIn(dora.email)
    const refused = await atAcme.post('/auth/switch-tenant', { tenantId: dora.tenantId })
    expect([refused.status, refused.body.code]).toEqual([403, 'TENANT_SUSPENDED'])
    expect((await atAcme.get('/auth/me')).body.tenants).toContainEqual(
      expect.objectContaining({ name: 'Doras', suspended: true }),
    )
  })

  test('switches to no tenant of others', async () => {
    const refused = await house.bob.post('/auth/switch-tenant', { tenantId: house.charlie.tenantId })
    expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'tenantId'])
    expect((await house.bob.post('/auth/switch-tenant', { tenantId: 'x' })).status).toBe(400)
    expect((await house.nobody.post('/auth/switch-tenant', { tenantId: alice.tenantId })).status).toBe(401)
  })
})

describe('a tenant that is suspended', () => {
  test('loses its sockets in every process, and gets no new ones', async () => {
    const olga = await house.operator()
    const tess = await house.found('Stopped', 'Tess')
    const open = [await listen(house.url, tess), await listen(other.url, tess)]
    await olga.patch(`/admin/tenants/${tess.tenantId}`, { suspended: true, reason: 'No payment' })
    expect(await Promise.all(open.map(({ closed }) => closed))).toEqual(['tenant_suspended', 'tenant_suspended'])
    await expect(listen(house.url, tess)).rejects.toMatchObject({ data: { code: 'TENANT_SUSPENDED' } })
  })
})

describe('a refresh token that two send at once', () => {
  const refresh = (refreshToken: string, device = 'tab', url = house.url) =>
    createClient(url).then((door) => door.post('/auth/refresh', { refreshToken }, { 'User-Agent': device }))

  test('from one device, at two processes, gives the same successor to both', async () => {
    const { refreshToken } = await signIn(house.bob.email)
    const answers = await Promise.all([
      refresh(refreshToken),
      refresh(refreshToken, 'tab', other.url),
      refresh(refreshToken),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1)
    expect((await refresh(answers[0]?.body.refreshToken)).status).toBe(200)
  })

  test('from two devices gives one a successor and ends the family for both', async () => {
    const { refreshToken } = await signIn(house.bob.email)
    const answers = await Promise.all([refresh(refreshToken, 'tab'), refresh(refreshToken, 'thief', other.url)])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401])
    const successor = answers.find(({ status }) => status === 200)?.body.refreshToken
    expect((await refresh(successor)).status).toBe(401)
  })
})
