import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { App } from '../app.ts'
import { startTestApp, type TestApp } from './app.ts'
import { type Client, createClient } from './client.ts'
import { type OpenIdHouse, openIdAudience, openIdClient, startOpenIdHouse } from './openid.ts'

let house: TestApp
let provider: OpenIdHouse
let app: App

beforeAll(async () => {
  house = await startTestApp()
  provider = await startOpenIdHouse()
  const issuer = { id: 'corp', issuer: provider.issuer, ...openIdClient, audience: openIdAudience }
  const issuers = JSON.stringify([{ ...issuer, tenant: house.alice.tenantId }])
  app = await house.another({ environment: { OIDC_ISSUERS: issuers } })
  await provider.open([])
})
afterAll(async () => {
  await house.stop()
  await provider.stop()
})

test('no token passes that is not good, at REST or at the sockets, nor keeps one open', async () => {
  expect(await passes(house.alice.token)).toEqual([200, true])
  const alices = await connected(house.alice.token)
  const goesOn = async (token: string) => (await alices?.emitWithAck('auth:refresh', { token }))?.ok
  expect(await goesOn(house.alice.token)).toBe(true)
  const passed: unknown[] = []
  for (const [what, token] of Object.entries(await bad())) {
    const [status, connects] = await passes(token)
    const kept = await goesOn(token)
    // A platform operator is known, and has no business here.
    const refused = what === 'of a platform operator' ? 403 : 401
    if (status !== refused || connects || kept) passed.push([what, status, connects, kept])
  }
  expect(passed).toEqual([])
  expect(await goesOn(house.alice.token)).toBe(true)
  alices?.disconnect()
})

test('a token of one tenant opens nothing of another, however its claims are joined', async () => {
  const contact = await house.charlie.build('contact')
  expect((await house.alice.get(`/contacts/${contact.id}`)).status).toBe(404)
  const { sub, sid, role } = claimsOf(house.alice.token)
  const own = { sub, sid, role, tid: house.alice.tenantId }
  const joined = [
    { ...own, tid: house.charlie.tenantId },
    { ...own, sub: house.charlie.userId },
    { ...own, sub: house.bob.userId },
    { ...own, sid: claimsOf(house.charlie.token).sid },
    { ...own, sub: house.charlie.userId, tid: house.charlie.tenantId },
    { ...own, tid: undefined, role: 'operator' },
  ]
  for (const claims of joined) expect([claims, await passes(sign(claims))]).toEqual([claims, [401, false]])
})

test('a key or a service of one tenant opens nothing of another', async () => {
  const { alice, charlie } = house
  const hidden = await alice.build('contact', { lastName: 'Xanadu' })
  await charlie.build('contact')
  const scopes = { name: 'Sync', scopes: ['*:*'] }
  const { key } = (await charlie.post('/api-keys', scopes)).body
  const { clientId, clientSecret } = (await charlie.post('/service-accounts', scopes)).body
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }
  const given = await charlie.raw('POST', '/auth/token', new URLSearchParams(form))
  for (const token of [key, given.body.access_token]) {
    const program = await clientOf(token)
    const answers = [
      await program.get(`/contacts/${hidden.id}`),
      await program.patch(`/contacts/${hidden.id}`, { lastName: 'Taken' }),
      await program.delete(`/contacts/${hidden.id}`),
      await program.get(`/timeline/contact/${hidden.id}`),
    ]
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404])
    const { data } = (await program.get('/contacts?limit=200')).body
    expect([data.length > 0, JSON.stringify(data).includes('Xanadu')]).toEqual([true, false])
    const socket = await connected(token)
    const told = await socket?.emitWithAck('subscribe', { type: 'contact', id: hidden.id })
    expect(told).toMatchObject({ ok: false, error: { code: 'FORBIDDEN' } })
    socket?.disconnect()
  }
  expect((await alice.get(`/contacts/${hidden.id}`)).body.version).toBe(1)
})

test('rights are those of now, whatever role a token names', async () => {
  const vera = await house.join('Vera', 'viewer')
  const token = sign({ ...claimsOf(vera.token), exp: undefined, iat: undefined, role: 'owner' })
  const pretender = await clientOf(token)
  expect((await pretender.get('/contacts')).status).toBe(200)
  expect((await pretender.post('/contacts', { firstName: 'Ada' })).status).toBe(403)
})

async function bad(): Promise<Record<string, string>> {
  const { alice, operator, join } = house
  const good = claimsOf(alice.token)
  const { iat: _iat, exp: _exp, ...claims } = good
  const [header = '', payload = '', signature = ''] = alice.token.split('.')
  const gone = await join('Gone', 'member')
  await gone.post('/auth/logout')
  const key = (await alice.post('/api-keys', { name: 'Sync', scopes: ['contact:read'] })).body
  const service = (await alice.post('/service-accounts', { name: 'Sync', scopes: ['contact:read'] })).body
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { keys } = (await (await fetch(`${provider.issuer}/jwks`)).json()) as { keys: [JsonWebKey & { kid: string }] }
  const [published] = keys
  const pem = createPublicKey({ key: published, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()
  const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const unsigned = (alg: string, last = '') => `${encoded({ alg, typ: 'JWT' })}.${encoded(good)}.${last}`
  const year = 365 * 24 * 3600
  const hmac = (text: string, secret: string) => createHmac('sha256', secret).update(text).digest('base64url')
  return {
    'signed with another secret': sign(claims, 'another secret that is long enough too'),
    'signed with nothing': sign(claims, ' '),
    expired: sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }),
    'not yet good': sign({ ...claims, nbf: Math.floor(Date.now() / 1000) + year }),
    'without an algorithm': unsigned('none'),
    'without an algorithm, in capitals': unsigned('NONE'),
    'without an algorithm, with a signature': unsigned('none', signature),
    'of another algorithm': sign(claims, undefined, { algorithm: 'HS512' }),
    'of an algorithm with two keys': jwt.sign(claims, privateKey, { algorithm: 'RS256', expiresIn: 900 }),
    'signed with an issuer’s public key as the secret': sign(claims, pem),
    'signed with an issuer’s public key as the secret, in its name': sign(
      { ...claims, iss: provider.issuer, aud: openIdAudience },
      pem,
      { keyid: published.kid },
    ),
    'signed with an issuer’s public key as it publishes it': sign(claims, JSON.stringify(published)),
    'with a key of its own in its header': jwt.sign(claims, privateKey, {
      algorithm: 'RS256',
      expiresIn: 900,
      header: { alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) } as jwt.JwtHeader,
    }),
    'with the address of keys in its header': jwt.sign({ ...claims, iss: provider.issuer }, privateKey, {
      algorithm: 'RS256',
      expiresIn: 900,
      header: { alg: 'RS256', jku: `${provider.issuer}/jwks`, kid: '../../dev/null' } as jwt.JwtHeader,
    }),
    'of an issuer, with our secret': sign({ ...claims, iss: provider.issuer, aud: openIdAudience }, 'x'.repeat(40)),
    'of an issuer, of nobody whom we know': await provider.sign({ sub: 'nobody', exp: Date.now() }),
    'of an issuer, with our claims': await provider.sign({ ...good, sub: alice.userId }),
    'with other claims under its signature': `${header}.${encoded({ ...good, role: 'owner', sub: house.charlie.userId })}.${signature}`,
    'without its last letter': alice.token.slice(0, -1),
    'cut in half': alice.token.slice(0, alice.token.length / 2),
    'without its signature': `${header}.${payload}.`,
    'with a part too many': `${alice.token}.${signature}`,
    'with two dots only': '..',
    'without claims': sign({}),
    'without a session': sign({ ...claims, sid: undefined }),
    'of a session that has ended': gone.token,
    'of a session that never was': sign({ ...claims, sid: alice.userId }),
    'a refresh token': alice.refreshToken,
    'a refresh token of a service’s shape': `cfs_${alice.refreshToken}`,
    'of a platform operator': (await operator()).token,
    'the id of a session': String(good.sid),
    'the prefix of a key': `cf_${key.prefix}`,
    'a key with another’s prefix': `cf_${'0'.repeat(12)}_${key.key.split('_')[2]}`,
    'a key without its last letter': key.key.slice(0, -1),
    'the secret of a service account': service.clientSecret,
    'a service’s token with another secret': serviceToken(service.clientId, 'another secret that is long enough too', {
      prefix: service.prefix,
    }),
    'a service’s token of another tenant': serviceToken(service.clientId, secret(), {
      prefix: service.prefix,
      tid: house.charlie.tenantId,
    }),
    'a service’s token of a key': serviceToken(key.id, secret(), { prefix: key.prefix }),
    'a service’s token of no secret': serviceToken(service.clientId, secret()),
    'a service’s token of another’s secret': serviceToken(service.clientId, secret(), { prefix: key.prefix }),
    'a service’s token of a user': serviceToken(alice.userId, secret(), { prefix: service.prefix }),
    'a service’s token for another audience': serviceToken(service.clientId, secret(), {
      prefix: service.prefix,
      aud: 'another',
    }),
    'a user’s claims in a service’s header': sign(claims, undefined, { header: { alg: 'HS256', typ: 'at+jwt' } }),
    'ten kilobytes of noise': randomBytes(7_500).toString('base64url'),
    'ten kilobytes of claims': sign({ ...claims, noise: 'x'.repeat(10_000) }, 'another secret that is long enough too'),
    'ten kilobytes of a key': `cf_${'a'.repeat(10_000)}`,
    'a NUL in it': `${alice.token}%00`,
    'signed twice': `${header}.${payload}.${hmac(`${header}.${payload}.`, secret())}`,
  }
}

const secret = (): string => house.config.jwtSecret

const claimsOf = (token: string): jwt.JwtPayload => {
  const claims = jwt.decode(token)
  if (claims === null || typeof claims === 'string') throw new Error('no claims')
  return claims
}

function sign(claims: object, key = secret(), options: jwt.SignOptions = {}): string {
  const known = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
  return jwt.sign(known, key, { algorithm: 'HS256', ...('exp' in known ? {} : { expiresIn: 900 }), ...options })
}

const serviceToken = (sub: string, key: string, more: object = {}): string =>
  sign({ sub, tid: house.alice.tenantId, aud: 'clientforge-service', ...more }, key, {
    header: { alg: 'HS256', typ: 'at+jwt' },
  })

const clientOf = (accessToken: string): Promise<Client> =>
  createClient(app.url, { user: { id: '', email: '' }, tenant: null, accessToken, refreshToken: '' })

/** What REST answers to a token, and whether a socket is let in with it. */
async function passes(token: string): Promise<[number, boolean]> {
  const { status } = await (await clientOf(token)).get('/contacts')
  const socket = await connected(token)
  socket?.disconnect()
  return [status, socket !== undefined]
}

/** A socket, if it is let in with a token. */
async function connected(token: string): Promise<Socket | undefined> {
  const socket = io(app.url, { path: '/ws', auth: { token }, transports: ['websocket'], reconnection: false })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', () => resolve(undefined))
  })
}
