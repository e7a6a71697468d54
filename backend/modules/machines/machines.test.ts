import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'

let house: TestApp
let alice: Client
const open: Socket[] = []

beforeAll(async () => {
  house = await startTestApp()
  alice = house.alice
})
afterEach(() => {
  for (const socket of open.splice(0)) socket.disconnect()
})
afterAll(() => house.stop())

describe('an API key', () => {
  test('is shown once, and afterwards by its prefix only', async () => {
    const { status, body } = await alice.post('/api-keys', { name: 'Sync', scopes: ['contact:read', 'deal:*'] })
    expect([status, body.key]).toEqual([201, expect.stringMatching(/^cf_[0-9a-f]{12}_[0-9a-f]{64}$/)])
    expect(body.key.split('_')[1]).toBe(body.prefix)
    const { data } = (await alice.get('/api-keys')).body
    const { key, ...rest } = body
    expect(data.find(({ id }: { id: string }) => id === body.id)).toEqual(rest)
    const stored = await asOwner(house.ownerUrl, (owner) => owner.query('select * from machine_secrets'))
    expect(JSON.stringify(stored.rows)).not.toContain(key.slice(20))
    const [made] = await eventually(async () => {
      const { data } = (await alice.get('/timeline?entityType=api_key')).body
      const made = data.filter(({ entityId }: { entityId: string }) => entityId === body.id)
      return made.length > 0 && made
    }, 'the activity of the key')
    expect(made.description).toBe('Alice made the API key “Sync”')
    expect(JSON.stringify(made)).not.toContain(key)
  })

  test('does what its scopes hold, and leaves its own name', async () => {
    const { key, id } = await keyOf(['contact:*', 'company:read'])
    const program = await clientOf(key)
    const made = await program.post('/contacts', { firstName: 'Ada' })
    expect([made.status, made.body.ownerId, made.body.createdById]).toEqual([201, alice.userId, id])
    expect((await program.patch(`/contacts/${made.body.id}`, { firstName: 'Augusta' })).status).toBe(200)
    const [created] = await alice.timeline('contact', made.body.id, 2)
    expect(created).toMatchObject({ action: 'created', actor: { id, type: 'api_key', name: 'Sync' } })
    expect((await program.get('/companies')).status).toBe(200)
    expect((await program.post('/companies', { name: 'Initech' })).status).toBe(403)
    expect((await program.get('/deals')).status).toBe(403)
    expect((await program.get('/deals/board')).status).toBe(403)
  })

  test('changes nothing that it may not read: the answer would show it', async () => {
    const contact = await alice.build('contact', { lastName: 'Secret' })
    const { clientId, clientSecret } = await service(['contact:update', 'contact:delete', 'contact:read'])
    const narrow = { client_id: clientId, client_secret: clientSecret, scope: 'contact:update contact:delete' }
    const programs = [
      await clientOf((await keyOf(['contact:update', 'contact:delete'])).key),
      await clientOf((await token(narrow)).body.access_token),
    ]
    for (const program of programs) {
      const answers = [
        await program.patch(`/contacts/${contact.id}`, {}),
        await program.post(`/contacts/${contact.id}/archive`),
        await program.delete(`/contacts/${contact.id}`),
      ]
      expect(answers.map(({ status }) => status)).toEqual([403, 403, 403])
      expect(JSON.stringify(answers)).not.toContain('Secret')
    }
    const both = await clientOf((await keyOf(['contact:update', '*:read'])).key)
    expect((await both.patch(`/contacts/${contact.id}`, {})).body.lastName).toBe('Secret')
  })

  test('is told which scope it would take', async () => {
    const program = await clientOf((await keyOf(['product:*'])).key)
    const form = new FormData()
    form.set('resource', 'contacts')
    form.set('file', new Blob(['firstName\nAda\n']), 'people.csv')
    const told: [string, Answer][] = [
      ['interaction:read', await program.get('/interactions')],
      ['deal:update', await program.post(`/deals/${alice.userId}/win`)],
      ['comment:create', await program.post(`/products/${alice.userId}/comments`, { body: 'Well' })],
      ['contact:create', await program.raw('POST', '/imports', form)],
      ['contact:read', await program.post('/exports', { resource: 'contacts', format: 'csv' })],
    ]
    for (const [scope, { status, body }] of told)
      expect([scope, status, body.detail]).toEqual([scope, 403, expect.stringContaining(scope)])
    const maker = await clientOf((await keyOf(['contact:create', 'contact:read'])).key)
    const { id } = (await maker.post('/contacts', { firstName: 'Ada' })).body
    for (const [scope, { status, body }] of [
      ['contact:update', await maker.patch(`/contacts/${id}`, { firstName: 'Augusta' })],
      ['contact:delete', await maker.delete(`/contacts/${id}`)],
    ] as const)
      expect([scope, status, body.detail]).toEqual([scope, 403, expect.stringContaining(scope)])
  })

  test('comments where it may', async () => {
    const deal = await alice.build('deal')
    const program = await clientOf((await keyOf(['deal:read', 'comment:read', 'comment:create'])).key)
    const { status, body } = await program.post(`/deals/${deal.id}/comments`, { body: 'Shipped' })
    expect([status, body.authorId]).toEqual([201, expect.any(String)])
    expect((await program.patch(`/comments/${body.id}`, { body: 'Delivered' })).status).toBe(403)
  })

  test('finds and hears nothing beyond its scopes, on any path', async () => {
    const deal = await alice.build('deal', { name: 'Zanzibar' })
    const contact = await alice.build('contact', { firstName: 'Zanzibar' })
    const program = await clientOf((await keyOf(['contact:read'])).key)
    const found = await eventually(async () => {
      const { data } = (await program.get('/search?q=zanzibar')).body
      return data.length > 0 && data
    }, 'the contact in the search')
    expect(found.map(({ id }: { id: string }) => id)).toEqual([contact.id])
    await alice.timeline('deal', deal.id, 1)
    const told = JSON.stringify((await program.get('/timeline?limit=200')).body)
    expect(told).toContain(contact.id)
    expect(told).not.toContain(deal.id)
    expect((await program.get(`/timeline/deal/${deal.id}`)).status).toBe(404)
    expect((await program.post('/exports', { resource: 'deals', format: 'csv' })).status).toBe(403)
    const socket = await connect(house.url, program.token)
    expect(await socket.emitWithAck('subscribe', { type: 'deal' })).toMatchObject({ error: { code: 'FORBIDDEN' } })
    expect(await socket.emitWithAck('subscribe', { type: 'contact' })).toEqual({ ok: true })
  })

  test('is nobody’s self: calls about people are refused before they are read', async () => {
    const program = await clientOf((await keyOf(['*:*'])).key)
    const calls = [
      '/auth/me',
      '/auth/sessions',
      '/api-keys',
      '/service-accounts',
      '/notifications',
      '/users/me/notifications',
      '/users/me/notifications/unread-count',
      '/timeline/me',
    ]
    const answers = await Promise.all(calls.map((path) => program.get(path)))
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(calls.map(() => [403, 'FORBIDDEN']))
    expect((await program.post('/api-keys', { name: '' })).status).toBe(403)
    expect((await program.post('/auth/logout')).status).toBe(403)
  })

  test('makes no owners and sees no sign-ins, though its maker may', async () => {
    const program = await clientOf((await keyOf(['*:*'])).key)
    const owner = { name: 'Otto', email: 'otto@example.com', role: 'owner', password: 'correct horse battery' }
    expect((await program.post('/users', owner)).status).toBe(403)
    const { data } = (await program.get('/timeline?action=logged_in')).body
    expect(data).toEqual([])
  })

  test('may never more than its maker may now, and dies with him', async () => {
    const adam = await house.join('Adam', 'admin')
    const program = await clientOf((await keyOf(['contact:*'], {}, adam)).key)
    const contact = await alice.build('contact')
    expect((await program.patch(`/contacts/${contact.id}`, { firstName: 'A' })).status).toBe(200)
    await alice.patch(`/users/${adam.userId}`, { role: 'member' })
    expect((await program.patch(`/contacts/${contact.id}`, { firstName: 'B' })).status).toBe(403)
    expect((await program.get(`/contacts/${contact.id}`)).status).toBe(200)
    await alice.patch(`/users/${adam.userId}`, { active: false })
    expect((await program.get(`/contacts/${contact.id}`)).status).toBe(401)
  })

  test('brings tables as its maker, under its own name', async () => {
    const program = await clientOf((await keyOf(['company:*'])).key)
    const form = new FormData()
    form.set('resource', 'companies')
    form.set('file', new Blob(['name\nHooli\n']), 'companies.csv')
    const asked = await program.raw('POST', '/imports', form)
    expect(asked.status).toBe(202)
    await eventually(
      async () => (await program.get(`/imports/${asked.body.id}`)).body.status === 'completed',
      'the end of the import',
    )
    const [made] = (await program.get('/companies?name=Hooli')).body.data
    expect(made).toMatchObject({ ownerId: alice.userId })
  })

  test('revoked at one process, it is dead at the other within a second, sockets too', async () => {
    const other = await house.another()
    const { key, id } = await keyOf(['contact:read'])
    const there = await clientOf(key, other.url)
    const socket = await connect(other.url, key)
    const gone = new Promise((resolve) => socket.once('disconnect', resolve))
    expect((await there.get('/contacts')).status).toBe(200)
    expect((await alice.delete(`/api-keys/${id}`)).status).toBe(204)
    await gone
    await eventually(async () => (await there.get('/contacts')).status === 401, 'the end of the key')
    expect((await alice.delete(`/api-keys/${id}`)).status).toBe(404)
    expect((await alice.get('/api-keys?limit=200')).body.data.map((one: { id: string }) => one.id)).not.toContain(id)
  })

  test('rotated, the old secret is good for the overlap only', async () => {
    const first = await keyOf(['contact:read'])
    const second = (await alice.post(`/api-keys/${first.id}/rotate`, { overlapHours: 0.5 })).body
    expect(second.prefix).not.toBe(first.prefix)
    expect(second.rotating).toMatchObject([{ prefix: first.prefix }])
    for (const key of [first.key, second.key]) expect((await (await clientOf(key)).get('/contacts')).status).toBe(200)
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(`update machine_secrets set expires_at = now() where prefix = $1`, [first.prefix]),
    )
    const answer = async (key: string) => (await (await clientOf(key)).get('/contacts')).status
    await eventually(async () => (await answer(first.key)) === 401, 'the end of the overlap')
    expect(await answer(second.key)).toBe(200)
    const third = (await alice.post(`/api-keys/${first.id}/rotate`, { overlapHours: 0 })).body
    await eventually(async () => (await answer(second.key)) === 401, 'the end of the second secret')
    expect([await answer(third.key), third.rotating]).toEqual([200, []])
  })

  test('rotated twice at once has one newest secret, and both answers work', async () => {
    const { id } = await keyOf(['contact:read'])
    const answers = await Promise.all([1, 2].map(() => alice.post(`/api-keys/${id}/rotate`)))
    const statuses = await Promise.all(
      answers.map(async ({ body }) => (await (await clientOf(body.key)).get('/contacts')).status),
    )
    expect(statuses).toEqual([200, 200])
  })

  test('expires, and its last use is told', async () => {
    const { key, id } = await keyOf(['contact:read'], { expiresAt: new Date(Date.now() + 3_600_000).toISOString() })
    const program = await clientOf(key)
    expect((await program.get('/contacts')).status).toBe(200)
    const used = await eventually(async () => {
      const { data } = (await alice.get('/api-keys?limit=200')).body
      const one = data.find((each: { id: string }) => each.id === id)
      return one.lastUsedAt !== null && one
    }, 'the last use')
    expect(used.lastUsedAddress).toBe('127.0.0.1')
    await asOwner(house.ownerUrl, (owner) => owner.query(`update machines set expires_at = now() where id = $1`, [id]))
    await eventually(async () => (await program.get('/contacts')).status === 401, 'the end of the key')
  })

  test.each([
    [['127.0.0.1'], 200],
    [['127.0.0.0/8'], 200],
    [['10.0.0.0/8', '::1'], 401],
    [['2001:db8::/32'], 401],
  ])('good from %j only is answered %i here', async (allowedAddresses, status) => {
    const { key } = await keyOf(['contact:read'], { allowedAddresses })
    expect((await (await clientOf(key)).get('/contacts')).status).toBe(status)
    const socket = connect(house.url, key)
    if (status === 200) expect((await socket).connected).toBe(true)
    else await expect(socket).rejects.toMatchObject({ data: { code: 'UNAUTHENTICATED' } })
  })

  test('is made, rotated and revoked by administrators of its tenant only', async () => {
    const { id } = await keyOf(['contact:read'])
    const body = { name: 'Sync', scopes: ['contact:read'] }
    for (const who of [house.bob, await house.join('Mary', 'manager')]) {
      const answers = [
        await who.get('/api-keys'),
        await who.post('/api-keys', body),
        await who.post(`/api-keys/${id}/rotate`),
        await who.delete(`/api-keys/${id}`),
      ]
      expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403])
    }
    expect((await house.charlie.post(`/api-keys/${id}/rotate`)).status).toBe(404)
    expect((await house.charlie.delete(`/api-keys/${id}`)).status).toBe(404)
    expect((await house.nobody.get('/api-keys')).status).toBe(401)
  })

  test.each([
    ['name', { name: '' }],
    ['scopes', { scopes: [] }],
    ['scopes.0', { scopes: ['contact'] }],
    ['scopes.0', { scopes: ['contact:write'] }],
    ['scopes.1', { scopes: ['contact:read', 'spaceship:read'] }],
    ['expiresAt', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['allowedAddresses.0', { allowedAddresses: ['10.0.0.0/33'] }],
    ['allowedAddresses.0', { allowedAddresses: ['example.com'] }],
  ])('with a wrong %s is not made', async (path, wrong) => {
    const { status, body } = await alice.post('/api-keys', { name: 'Sync', scopes: ['contact:read'], ...wrong })
    expect([status, body.errors[0].path]).toEqual([400, path])
  })

  test('that is mistyped, or another’s prefix with a secret of its own, is refused', async () => {
    const { key, prefix } = await keyOf(['contact:read'])
    const wrong = [
      key.slice(0, -1),
      `${key}0`,
      key.toUpperCase(),
      `cf_${prefix}_${'0'.repeat(64)}`,
      'cf_',
      `cfs${key.slice(2)}`,
    ]
    for (const token of wrong)
      expect([token, (await (await clientOf(token)).get('/contacts')).status]).toEqual([token, 401])
  })
})

describe('a service account', () => {
  test('gets a token for its credentials, in the body or in the header, and acts under its own name', async () => {
    const { clientId, clientSecret } = await service(['contact:*'])
    const inBody = await token({ client_id: clientId, client_secret: clientSecret })
    expect([inBody.status, inBody.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(inBody.body).toMatchObject({ token_type: 'Bearer', expires_in: 900, scope: 'contact:*' })
    const inHeader = await token({}, { authorization: basic(clientId, clientSecret) })
    const program = await clientOf(inHeader.body.access_token)
    const made = await program.post('/contacts', { firstName: 'Ada' })
    expect([made.status, made.body.ownerId]).toEqual([201, null])
    const [created] = await alice.timeline('contact', made.body.id, 1)
    expect(created?.actor).toEqual({ id: clientId, type: 'service', name: 'Warehouse' })
    expect((await program.get('/deals')).status).toBe(403)
    expect((await program.get('/auth/me')).status).toBe(403)
    const socket = await connect(house.url, program.token)
    expect(await socket.emitWithAck('subscribe', { type: 'contact' })).toEqual({ ok: true })
  })

  test('ends what a secret has opened with that secret', async () => {
    const { clientId, clientSecret } = await service(['contact:read'])
    const tokenFor = async (secret: string) =>
      clientOf((await token({ client_id: clientId, client_secret: secret })).body.access_token)
    const first = await tokenFor(clientSecret)
    const socket = await connect(house.url, first.token)
    const told = new Promise((resolve) => socket.once('connection:closing', resolve))
    const second = (await alice.post(`/service-accounts/${clientId}/rotate`, { overlapHours: 1 })).body.clientSecret
    const [old, fresh] = [await tokenFor(clientSecret), await tokenFor(second)]
    for (const each of [first, old, fresh]) expect((await each.get('/contacts')).status).toBe(200)
    const third = (await alice.post(`/service-accounts/${clientId}/rotate`, { overlapHours: 0 })).body.clientSecret
    const refused = async () =>
      (await Promise.all([first, old, fresh].map((each) => each.get('/contacts')))).every(
        ({ status }) => status === 401,
      )
    await eventually(refused, 'the end of their tokens')
    expect(await told).toMatchObject({ reason: 'session_ended' })
    expect((await (await tokenFor(third)).get('/contacts')).status).toBe(200)
  })

  test('asks for fewer scopes than it has, and for no more', async () => {
    const { clientId, clientSecret } = await service(['contact:read', 'contact:create'])
    const credentials = { client_id: clientId, client_secret: clientSecret }
    const few = await token({ ...credentials, scope: 'contact:read' })
    const program = await clientOf(few.body.access_token)
    expect((await program.get('/contacts')).status).toBe(200)
    expect((await program.post('/contacts', { firstName: 'Ada' })).status).toBe(403)
    const more = await token({ ...credentials, scope: 'deal:read' })
    expect([more.status, more.body.error]).toEqual([400, 'invalid_scope'])
  })

  test('is refused in the words of OAuth', async () => {
    const { clientId, clientSecret } = await service(['contact:read'])
    const key = await keyOf(['contact:read'])
    const right = { client_id: clientId, client_secret: clientSecret }
    const cases: [Record<string, string>, Record<string, string>, number, string][] = [
      [{ ...right, client_secret: `${clientSecret.slice(0, -1)}x` }, {}, 401, 'invalid_client'],
      [{ ...right, client_id: alice.userId }, {}, 401, 'invalid_client'],
      [{ client_id: key.id, client_secret: key.key }, {}, 401, 'invalid_client'],
      [{}, {}, 401, 'invalid_client'],
      [{}, { authorization: 'Basic %%%' }, 401, 'invalid_client'],
      [{ ...right, grant_type: 'password' }, {}, 400, 'unsupported_grant_type'],
      [{ ...right, grant_type: '' }, {}, 400, 'invalid_request'],
      [right, { authorization: basic(clientId, clientSecret) }, 400, 'invalid_request'],
    ]
    for (const [form, headers, status, error] of cases) {
      const answer = await token(form, headers)
      expect([form, answer.status, answer.body.error]).toEqual([form, status, error])
      expect(answer.body.error_description).toEqual(expect.any(String))
    }
    const json = await house.nobody.post('/auth/token', { grant_type: 'client_credentials', ...right })
    expect([json.status, json.body.error]).toEqual([400, 'invalid_request'])
  })

  test('outlives who made it, and ends with its revocation whatever tokens it has', async () => {
    const adam = await house.join('Adam', 'admin')
    const { clientId, clientSecret } = await service(['contact:read'], adam)
    const { access_token } = (await token({ client_id: clientId, client_secret: clientSecret })).body
    await alice.patch(`/users/${adam.userId}`, { active: false })
    const program = await clientOf(access_token)
    expect((await program.get('/contacts')).status).toBe(200)
    await alice.delete(`/service-accounts/${clientId}`)
    expect((await program.get('/contacts')).status).toBe(401)
    expect((await token({ client_id: clientId, client_secret: clientSecret })).status).toBe(401)
  })
})

async function keyOf(scopes: string[], more: Record<string, unknown> = {}, who = alice) {
  const { status, body } = await who.post('/api-keys', { name: 'Sync', scopes, ...more })
  expect(status).toBe(201)
  return body as { id: string; key: string; prefix: string }
}

async function service(scopes: string[], who = alice) {
  const { status, body } = await who.post('/service-accounts', { name: 'Warehouse', scopes })
  expect(status).toBe(201)
  return body as { clientId: string; clientSecret: string }
}

const token = (form: Record<string, string>, headers: Record<string, string> = {}) =>
  house.nobody.raw('POST', '/auth/token', new URLSearchParams({ grant_type: 'client_credentials', ...form }), headers)

const basic = (id: string, secret: string): string => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`

const clientOf = (accessToken: string, url = house.url): Promise<Client> =>
  createClient(url, { user: { id: '', email: '' }, tenant: null, accessToken, refreshToken: '' })

function connect(url: string, accessToken: string): Promise<Socket> {
  const socket = io(url, { path: '/ws', auth: { token: accessToken }, transports: ['websocket'], reconnection: false })
  open.push(socket)
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', reject)
  })
}
