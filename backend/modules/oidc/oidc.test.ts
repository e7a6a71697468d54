import { createHash, randomBytes } from 'node:crypto'
import { generateKeyPair, SignJWT } from 'jose'
import { generate } from 'otplib'
import { io, type Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { App } from '../../app.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { mailedToken } from '../../test/mailbox.ts'
import { createBrowser, type OpenIdHouse, openIdAudience, openIdClient, startOpenIdHouse } from '../../test/openid.ts'

let house: TestApp
let provider: OpenIdHouse
let app: App
let nobody: Client
const open: Socket[] = []
const page = 'http://localhost:5173/signed-in'

beforeAll(async () => {
  house = await startTestApp()
  provider = await startOpenIdHouse()
  const common = { issuer: provider.issuer, ...openIdClient, page }
  const issuers = [
    {
      ...common,
      id: 'corp',
      name: 'Corporation',
      audience: openIdAudience,
      tenant: house.alice.tenantId,
      roles: { 'crm-admin': 'admin', 'crm-user': 'member' },
      jit: true,
      domains: ['corp.example'],
    },
  ]
  app = await house.another({ environment: { OIDC_ISSUERS: JSON.stringify(issuers) } })
  nobody = await createClient(app.url)
  await provider.open([`${app.url}/api/v1/auth/oidc/corp/callback`])
})
afterEach(() => {
  vi.useRealTimers()
  for (const socket of open.splice(0)) socket.disconnect()
})
afterAll(async () => {
  await house.stop()
  await provider.stop()
})

describe('signing in with a provider', () => {
  test('makes a member just in time, and his role follows his claims', async () => {
    someone('grace', { roles: ['crm-user', 'another app'] })
    const first = await signIn('grace')
    expect(first.user).toMatchObject({ name: 'grace', email: 'grace@corp.example', role: 'member' })
    const grace = await createClient(app.url, first)
    expect((await grace.get('/auth/me')).body.tenant.id).toBe(house.alice.tenantId)
    expect((await grace.post('/auth/refresh', { refreshToken: first.refreshToken })).status).toBe(200)
    someone('grace', { roles: ['crm-admin'] })
    const second = await signIn('grace')
    expect([second.user.id, second.user.role]).toEqual([first.user.id, 'admin'])
    someone('grace', { roles: [] })
    expect(await refusal('grace')).toMatchObject({
      error: 'FORBIDDEN',
      error_description: expect.stringMatching(/no role/),
    })
  })

  test('leads to who was here before, when the provider speaks for his verified email', async () => {
    const email = 'ada@corp.example'
    const made = await house.alice.post('/users', { name: 'Ada', email, role: 'member', password })
    someone('ada-1', { email, email_verified: false })
    expect(await refusal('ada-1')).toMatchObject({ error_description: expect.stringMatching(/verified email/) })
    someone('ada-2', { email: email.toUpperCase() })
    expect((await signIn('ada-2')).user.id).toBe(made.body.id)
    // From now on by issuer and subject, whatever her email becomes.
    someone('ada-2', { email: 'countess@corp.example' })
    expect((await signIn('ada-2')).user.id).toBe(made.body.id)
  })

  test('takes an account whose address nobody had proved from who made it', async () => {
    const email = 'hedy@corp.example'
    const registered = { organization: 'Mallory', name: 'Hedy', email, password }
    const mallory = await createClient(app.url, (await nobody.post('/auth/register', registered)).body)
    const { secret } = (await mallory.post('/auth/2fa/enable', { password })).body
    const { recoveryCodes } = (await mallory.post('/auth/2fa/verify', { code: await generate({ secret }) })).body
    someone('hedy', { email })
    const hedy = await createClient(app.url, await signIn('hedy'))
    expect((await mallory.get('/auth/me')).status).toBe(401)
    expect((await nobody.post('/auth/refresh', { refreshToken: mallory.refreshToken })).status).toBe(401)
    expect((await nobody.post('/auth/login', { email, password, totp: recoveryCodes[0] })).status).toBe(401)
    const me = (await hedy.get('/auth/me')).body
    expect(me).toMatchObject({ twoFactor: { totp: false, recoveryCodesLeft: 0 }, user: { email } })
    expect(me.emailVerifiedAt).not.toBeNull()
  })

  test('leaves his password to who has proved his address before', async () => {
    const email = 'iris@corp.example'
    await nobody.post('/auth/register', { organization: 'Iris', name: 'Iris', email, password })
    const token = await mailedToken(house.config.storageDir, email, /Confirm/)
    expect((await nobody.post('/auth/email/verify', { token })).status).toBe(204)
    someone('iris', { email })
    await signIn('iris')
    expect((await nobody.post('/auth/login', { email, password })).status).toBe(200)
  })

  test('takes over nobody of a domain that is not the provider’s', async () => {
    someone('mallory', { email: house.charlie.email })
    expect(await refusal('mallory')).toMatchObject({
      error_description: expect.stringMatching(/has an account already/),
    })
    someone('mallet', { email: house.bob.email })
    expect(await refusal('mallet')).toMatchObject({
      error_description: expect.stringMatching(/has an account already/),
    })
  })

  test('ends with the last of his roles, whatever he holds, and begins again with the next', async () => {
    someone('lara', { roles: ['crm-user'] })
    const signedIn = await signIn('lara')
    const lara = await createClient(app.url, signedIn)
    const bearer = await clientOf(await token('lara', { iat: seconds(-60) }))
    expect([(await lara.get('/contacts')).status, (await bearer.get('/contacts')).status]).toEqual([200, 200])
    const code = (await arrive('lara')).searchParams.get('code')
    const socket = await connect(lara.token)
    const told = new Promise((resolve) => socket.once('connection:closing', resolve))
    someone('lara', { roles: [] })
    expect(await refusal('lara')).toMatchObject({ error_description: expect.stringMatching(/no role/) })
    expect(await told).toMatchObject({ reason: 'session_ended' })
    await eventually(async () => (await bearer.get('/contacts')).status === 401, 'the end of her bearer token')
    expect((await lara.get('/contacts')).status).toBe(401)
    expect((await lara.post('/auth/refresh', { refreshToken: signedIn.refreshToken })).status).toBe(401)
    expect((await nobody.post('/auth/oidc/exchange', { code })).status).toBe(401)
    expect(await status(await token('lara', { iat: seconds(-30), roles: ['crm-user'] }))).toBe(401)
    someone('lara', { roles: ['crm-admin'] })
    expect((await signIn('lara')).user).toMatchObject({ id: signedIn.user.id, role: 'admin' })
    await eventually(async () => (await bearer.get('/contacts')).status === 200, 'her bearer token')
  })

  test('finds who was removed and added again, and makes nobody anew whom somebody removed', async () => {
    someone('wanda', { roles: ['crm-user'] })
    const { user } = await signIn('wanda')
    await house.alice.delete(`/users/${user.id}`)
    expect(await refusal('wanda')).toMatchObject({ error_description: expect.stringMatching(/removed/) })
    const added = await house.alice.post('/users', { name: 'Wanda', email: user.email, role: 'viewer' })
    const again = await signIn('wanda')
    expect([again.user.id, again.user.role]).toEqual([added.body.id, 'member'])
    const { data } = (await house.alice.get('/invitations?status=pending')).body
    expect(data.filter(({ email }: { email: string }) => email === user.email)).toEqual([])
    expect((await signIn('wanda')).user.id).toBe(added.body.id)
  })

  test('finds the member who could not sign in yet, and makes no second one', async () => {
    const email = 'ines@corp.example'
    const added = await house.alice.post('/users', { name: 'Ines', email })
    someone('ines', { email })
    expect((await signIn('ines')).user.id).toBe(added.body.id)
  })

  test('is refused to who was deactivated, and makes no owner less', async () => {
    someone('dora', { roles: ['crm-user'] })
    const { user } = await signIn('dora')
    await house.alice.patch(`/users/${user.id}`, { active: false })
    expect(await refusal('dora')).toMatchObject({ error_description: expect.stringMatching(/no active member/) })
    const owner = await house.alice.post('/users', {
      name: 'Olive',
      email: 'olive@corp.example',
      role: 'owner',
      password,
    })
    someone('olive', { roles: ['crm-user'] })
    expect((await signIn('olive')).user).toMatchObject({ id: owner.body.id, role: 'owner' })
  })

  test('as an administrator takes the role of the tenant’s own from him', async () => {
    someone('nina', { roles: ['crm-user'] })
    const { user } = await signIn('nina')
    const { id: roleId } = await house.alice.build('role', { name: 'Narrow' })
    expect((await house.alice.patch(`/users/${user.id}`, { roleId })).status).toBe(200)
    someone('nina', { roles: ['crm-admin'] })
    expect((await signIn('nina')).user).toMatchObject({ role: 'admin', roleId: null })
  })

  test('at the same moment twice makes one member', async () => {
    someone('twin', { roles: ['crm-user'] })
    const [one, other] = await Promise.all([signIn('twin'), signIn('twin')])
    expect(one.user.id).toBe(other.user.id)
  })

  test('never shows a token in a URL, and its code works once', async () => {
    someone('otto', { roles: ['crm-user'] })
    const url = await arrive('otto')
    expect([...url.searchParams.keys()]).toEqual(['code'])
    const code = url.searchParams.get('code')
    const answers = await Promise.all([1, 2, 3].map(() => nobody.post('/auth/oidc/exchange', { code })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    const late = (await arrive('otto')).searchParams.get('code')
    await asOwner(house.ownerUrl, (owner) => owner.query('update openid_codes set expires_at = now()'))
    expect((await nobody.post('/auth/oidc/exchange', { code: late })).status).toBe(401)
    for (const code of ['', 'x', `${house.alice.tenantId}.x`, 'x'.repeat(200)])
      expect((await nobody.post('/auth/oidc/exchange', { code })).status).toBe(401)
  })

  test('with a challenge the code is good for that page only', async () => {
    someone('pia', { roles: ['crm-user'] })
    const verifier = randomBytes(32).toString('base64url')
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    const exchange = async (more: object) => {
      const code = (await arrive('pia', `?challenge=${challenge}`)).searchParams.get('code')
      return nobody.post('/auth/oidc/exchange', { code, ...more })
    }
    expect((await exchange({})).status).toBe(401)
    expect((await exchange({ verifier: 'another' })).status).toBe(401)
    const { status, body, headers } = await exchange({ verifier, cookie: true })
    expect([status, body.refreshToken]).toEqual([200, undefined])
    expect(headers.get('set-cookie')).toMatch(/clientforge_refresh=.*HttpOnly; SameSite=Strict/)
  })

  test('a state is good once, for the browser that began, and for ten minutes', async () => {
    someone('rosa', { roles: ['crm-user'] })
    const stolen = await returning('rosa')
    const thief = createBrowser()
    expect((await thief.visit(stolen.url)).status).toBe(400)
    // Even that used it up.
    expect((await stolen.browser.visit(stolen.url)).status).toBe(400)
    const used = await returning('rosa')
    expect((await used.browser.visit(used.url)).status).toBe(302)
    expect((await used.browser.visit(used.url)).status).toBe(400)
    const old = await returning('rosa')
    await asOwner(house.ownerUrl, (owner) => owner.query('update openid_attempts set expires_at = now()'))
    expect((await old.browser.visit(old.url)).status).toBe(400)
    expect((await old.browser.visit(`${start()}/../callback?state=made-up&code=x`)).status).toBe(400)
  })

  test('a code of the provider that is not for this attempt leads nowhere', async () => {
    someone('sam', { roles: ['crm-user'] })
    const [his, hers] = [await returning('sam'), await returning('sam')]
    const swapped = new URL(his.url)
    swapped.searchParams.set('code', new URL(hers.url).searchParams.get('code') ?? '')
    const answer = await his.browser.visit(swapped.href)
    expect(new URL(answer.headers.get('location') ?? '').searchParams.get('error')).toBe('UNAUTHENTICATED')
    const denied = await returning('sam')
    const refused = new URL(denied.url)
    refused.searchParams.delete('code')
    refused.searchParams.set('error', 'access_denied')
    const told = await denied.browser.visit(refused.href)
    expect(new URL(told.headers.get('location') ?? '').searchParams.get('error')).toBe('FORBIDDEN')
  })

  test('sends S256, a state and a nonce, and a cookie that scripts do not see', async () => {
    const answer = await createBrowser().visit(start())
    const url = new URL(answer.headers.get('location') ?? '')
    expect(url.origin).toBe(provider.issuer)
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.any(String),
      nonce: expect.any(String),
      response_type: 'code',
    })
    expect(answer.headers.get('set-cookie')).toMatch(/Path=\/api\/v1\/auth\/oidc; HttpOnly; SameSite=Lax; Max-Age=600/)
    expect((await nobody.get('/auth/oidc/nobody/start')).status).toBe(404)
    expect((await nobody.get('/auth/oidc')).body).toEqual({ data: [{ id: 'corp', name: 'Corporation' }] })
  })
})

describe('a bearer token of a provider', () => {
  test('tells of roles as of when it was made: an older one takes nothing back', async () => {
    someone('nele', { roles: ['crm-admin'] })
    const { user } = await signIn('nele')
    const role = async () => (await house.alice.get(`/users/${user.id}`)).body.role
    const old = await token('nele', { iat: seconds(-60) })
    const silent = await token('nele', { iat: undefined })
    someone('nele', { roles: ['crm-user'] })
    expect((await signIn('nele')).user.role).toBe('member')
    expect([await status(old), await status(silent), await role()]).toEqual([200, 200, 'member'])
    expect([await status(await token('nele', { roles: ['crm-admin'] })), await role()]).toEqual([200, 'admin'])
  })

  test('that tells of no role ends what the older ones opened', async () => {
    someone('otis', { roles: ['crm-user'] })
    const older = await token('otis', { iat: seconds(-60) })
    expect(await status(older)).toBe(200)
    // What the log tells of his coming would check the socket anew too.
    const [{ id }] = (await house.alice.get('/users?email=otis@corp.example')).body.data
    await house.alice.timeline('user', id, 2)
    const socket = await connect(older)
    const told = new Promise((resolve) => socket.once('connection:closing', resolve))
    expect(await status(await token('otis', { roles: [] }))).toBe(401)
    expect(await told).toMatchObject({ reason: 'session_ended' })
    expect(await status(older)).toBe(401)
  })

  test('that tells the same role again makes older what was told before it', async () => {
    someone('nils', { roles: ['crm-user'] })
    for (const iat of [-50, -30]) expect(await status(await token('nils', { iat: seconds(iat) }))).toBe(200)
    expect(await status(await token('nils', { iat: seconds(-40), roles: ['crm-admin'] }))).toBe(200)
    expect((await house.alice.get('/users?email=nils@corp.example')).body.data).toMatchObject([{ role: 'member' }])
  })

  test('is taken on REST and on sockets, and acts as its user', async () => {
    someone('robot', { roles: ['crm-user'] })
    const robot = await clientOf(await provider.mint())
    const made = await robot.post('/contacts', { firstName: 'Ada' })
    expect(made.status).toBe(201)
    const [user] = (await house.alice.get('/users?email=robot@corp.example')).body.data
    expect(made.body.ownerId).toBe(user.id)
    const [created] = await house.alice.timeline('contact', made.body.id, 1)
    expect(created?.actor).toMatchObject({ id: user.id, type: 'user' })
    expect((await connect(robot.token)).connected).toBe(true)
    await house.alice.patch(`/users/${user.id}`, { active: false })
    await eventually(async () => (await robot.get('/contacts')).status === 401, 'the end of a deactivated user')
  })

  test('of keys that were changed is verified with the new ones, and made-up key ids cost no fetch each', async () => {
    someone('rob', { roles: ['crm-user'] })
    const claims = () => ({ sub: 'rob', exp: seconds(300), ...provider.people.get('rob') })
    expect(await status(await provider.sign(claims()))).toBe(200)
    await provider.open([`${app.url}/api/v1/auth/oidc/corp/callback`])
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 })
    expect(await status(await provider.sign(claims()))).toBe(200)
    const before = provider.fetches
    for (const kid of ['a', 'b', 'c', 'd']) expect(await status(await provider.sign(claims(), { kid }))).toBe(401)
    expect(provider.fetches - before).toBeLessThanOrEqual(1)
  })

  test('that is wrong in any way is refused', async () => {
    someone('eve', { roles: ['crm-user'] })
    const good = { sub: 'eve', exp: seconds(300), ...provider.people.get('eve') }
    expect(await status(await provider.sign(good))).toBe(200)
    const { privateKey: stranger } = await generateKeyPair('RS256')
    const forged = await new SignJWT({ ...good, iss: provider.issuer, aud: openIdAudience })
      .setProtectedHeader({ alg: 'RS256', kid: 'key-1', typ: 'at+jwt' })
      .sign(stranger)
    const wrong: Record<string, string> = {
      'another audience': await provider.sign({ ...good, aud: 'urn:another' }),
      'the audience of the client': await provider.sign({ ...good, aud: openIdClient.clientId }),
      'no audience': await provider.sign({ ...good, aud: undefined }),
      'another issuer': await provider.sign({ ...good, iss: 'https://another.example' }),
      expired: await provider.sign({ ...good, exp: seconds(-60) }),
      'never expiring': await provider.sign({ ...good, exp: undefined }),
      'not yet good': await provider.sign({ ...good, nbf: seconds(300) }),
      'a subject that is no text': await provider.sign({ ...good, sub: { a: 1 } }),
      'no subject': await provider.sign({ ...good, sub: undefined }),
      'a token of sign-out': await provider.sign(good, { typ: 'logout+jwt' }),
      'an id token': await provider.sign({ ...good, nonce: 'n' }),
      forged,
      'signed with a key for encryption': await provider.signToEncrypt(good),
      'signed with our secret': await hmac(good, house.config.jwtSecret),
      'signed with the public key as a secret': await hmac(good, await publicKey()),
      unsigned: unsigned(good),
    }
    for (const [what, token] of Object.entries(wrong)) {
      expect([what, await status(token)]).toEqual([what, 401])
      await expect(connect(token), what).rejects.toMatchObject({ data: { code: 'UNAUTHENTICATED' } })
    }
  })

  test('of nobody whom we know is refused, and who has no role is not made', async () => {
    const unknown = { exp: seconds(300), sub: 'unknown' }
    expect(await status(await provider.sign(unknown))).toBe(401)
    someone('unknown', { roles: ['another app'] })
    expect(await status(await provider.sign({ ...unknown, ...provider.people.get('unknown') }))).toBe(401)
  })
})

const start = (): string => `${app.url}/api/v1/auth/oidc/corp/start`

function someone(name: string, claims: Record<string, unknown>): void {
  provider.people.set(name, {
    name,
    email: `${name}@corp.example`,
    email_verified: true,
    roles: ['crm-user'],
    ...claims,
  })
}

/** Goes to the provider and signs in there, up to the address that leads back. */
async function returning(name: string, query = '') {
  const browser = createBrowser()
  const url = await browser.follow(`${start()}${query}`, (next) => next.includes('/callback?'), name)
  return { browser, url }
}

async function arrive(name: string, query = ''): Promise<URL> {
  const { browser, url } = await returning(name, query)
  return new URL(await browser.follow(url, (next) => next.startsWith(page), name))
}

async function signIn(name: string) {
  const code = (await arrive(name)).searchParams.get('code')
  const { status, body } = await nobody.post('/auth/oidc/exchange', { code })
  expect(status).toBe(200)
  return body
}

async function refusal(name: string): Promise<Record<string, string>> {
  return Object.fromEntries((await arrive(name)).searchParams)
}

const seconds = (from: number): number => Math.floor(Date.now() / 1000) + from

/** A token that the provider signs for somebody as it knows him. */
const token = (sub: string, claims: Record<string, unknown> = {}): Promise<string> =>
  provider.sign({ iat: seconds(0), exp: seconds(300), sub, ...provider.people.get(sub), ...claims })

const status = async (token: string): Promise<number> => (await (await clientOf(token)).get('/contacts')).status

const clientOf = (accessToken: string): Promise<Client> =>
  createClient(app.url, { user: { id: '', email: '' }, tenant: null, accessToken, refreshToken: '' })

const hmac = (claims: Record<string, unknown>, secret: string): Promise<string> =>
  new SignJWT({ ...claims, iss: provider.issuer, aud: openIdAudience })
    .setProtectedHeader({ alg: 'HS256', kid: 'key-1', typ: 'at+jwt' })
    .sign(Buffer.from(secret))

const publicKey = async (): Promise<string> => JSON.stringify(await (await fetch(`${provider.issuer}/jwks`)).json())

const unsigned = (claims: Record<string, unknown>): string =>
  [
    { alg: 'none', typ: 'at+jwt' },
    { ...claims, iss: provider.issuer, aud: openIdAudience },
  ]
    .map((part) => `${Buffer.from(JSON.stringify(part)).toString('base64url')}.`)
    .join('')

function connect(token: string): Promise<Socket> {
  const socket = io(app.url, { path: '/ws', auth: { token }, transports: ['websocket'], reconnection: false })
  open.push(socket)
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', reject)
  })
}
