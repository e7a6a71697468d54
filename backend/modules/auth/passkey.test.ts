import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { generate } from 'otplib'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Authenticator, createAuthenticator, type Twist } from '../../test/authenticator.ts'
import { browserPath, openBrowser } from '../../test/browser.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { filedMail } from '../../test/mailbox.ts'

/** Where the app says that browsers reach it; passkeys are for this host. */
const page = 'http://localhost:4444'
let house: TestApp
let nobody: Client

beforeAll(async () => {
  house = await startTestApp({ environment: { PUBLIC_URL: page, CORS_ORIGINS: 'http://app.localhost:5555' } })
  nobody = house.nobody
})
afterAll(() => house?.stop())

const register = async (client: Client, key: Authenticator, twist?: Twist): Promise<Answer> => {
  const options = (await client.post('/auth/passkeys/options', { password })).body
  return client.post('/auth/passkeys', { name: 'Laptop', response: key.create(options, twist) })
}

const signIn = async (key: Authenticator, twist?: Twist): Promise<Answer> => {
  const options = (await nobody.post('/auth/passkeys/login/options')).body
  return nobody.post('/auth/passkeys/login', { response: key.get(options, twist) })
}

/** Somebody with a passkey. */
async function keyed() {
  const client = await house.found('Initech', 'Peter')
  const key = createAuthenticator(page)
  const made = await register(client, key)
  expect(made.status).toBe(201)
  return { client, key, id: made.body.id as string }
}

describe('a passkey', () => {
  test('is added by who is signed in and knows the password, listed and told by mail', async () => {
    const { client, id } = await keyed()
    const { body } = await client.get('/auth/passkeys')
    expect(body.data).toEqual([
      { id, name: 'Laptop', backedUp: false, createdAt: expect.any(String), lastUsedAt: null },
    ])
    expect((await client.get('/auth/me')).body.twoFactor.passkeys).toBe(1)
    expect((await filedMail(house.config.storageDir, client.email, /passkey was added/)).text).toContain('127.0.0.1')
    expect((await client.post('/auth/passkeys/options', { password: 'wrong' })).status).toBe(400)
    const { body: options } = await client.post('/auth/passkeys/options', { password })
    expect(options).toMatchObject({
      rp: { id: 'localhost', name: 'ClientForge' },
      user: { name: client.email },
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: [{ type: 'public-key' }],
    })
  })

  test('signs in without email and password, and counts its uses', async () => {
    const { client, key } = await keyed()
    const first = await signIn(key)
    expect([first.status, first.body.user.id]).toEqual([200, client.userId])
    expect((await signIn(key)).status).toBe(200)
    const { data } = (await client.get('/auth/passkeys')).body
    expect(data[0].lastUsedAt).toEqual(expect.any(String))
    const options = (await nobody.post('/auth/passkeys/login/options')).body
    const browser = await nobody.post('/auth/passkeys/login', { response: key.get(options), cookie: true })
    expect([browser.status, 'refreshToken' in browser.body]).toEqual([200, false])
    expect(browser.headers.get('set-cookie')).toMatch(/HttpOnly/)
  })

  test('is both factors where a tenant or an authenticator asks for a second', async () => {
    const { client, key } = await keyed()
    const settings = { requireTwoFactorFrom: '2026-01-01' }
    expect((await client.patch('/tenant', { settings })).status).toBe(200)
    const strong = await createClient(house.url, (await signIn(key)).body)
    expect((await strong.get('/contacts')).status).toBe(200)
    const weak = await createClient(
      house.url,
      (await nobody.post('/auth/login', { email: client.email, password })).body,
    )
    expect((await weak.get('/contacts')).body.code).toBe('TWO_FACTOR_ENROLMENT_REQUIRED')
    // Whoever stole the password alone must not make himself a second factor.
    expect((await weak.post('/auth/2fa/enable', { password })).body.code).toBe('FORBIDDEN')
    expect((await weak.post('/auth/passkeys/options', { password })).body.code).toBe('FORBIDDEN')
    const { secret } = (await strong.post('/auth/2fa/enable', { password })).body
    expect((await strong.post('/auth/2fa/verify', { code: await generate({ secret }) })).status).toBe(200)
    expect((await signIn(key)).status).toBe(200)
  })

  test('is removed by its owner alone, and then opens nothing', async () => {
    const { client, key, id } = await keyed()
    expect((await house.alice.delete(`/auth/passkeys/${id}`, { password })).status).toBe(404)
    expect((await house.alice.get('/auth/passkeys')).body.data).toEqual([])
    for (const body of [{}, { password: 'wrong' }]) {
      const refused = await client.delete(`/auth/passkeys/${id}`, body)
      expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'password'])
    }
    expect((await client.delete(`/auth/passkeys/${id}`, { password })).status).toBe(204)
    expect((await client.delete(`/auth/passkeys/${id}`, { password })).status).toBe(404)
    expect((await signIn(key)).status).toBe(401)
    await filedMail(house.config.storageDir, client.email, /passkey was removed/)
    await eventually(async () => {
      const { data } = (await client.get('/timeline/me')).body
      const verbs = data.map(({ metadata }: { metadata: { verb?: string } }) => metadata.verb)
      return verbs.includes('passkey_added') && verbs.includes('passkey_removed')
    }, 'both in the timeline')
  })

  test('that is removed signs out who came by it, wherever he went, and nobody else', async () => {
    const { client, key, id } = await keyed()
    const second = createAuthenticator(page)
    const made = await register(client, second)
    await nobody.post('/auth/register', { organization: 'Initrode', name: 'Peter', email: client.email, password })
    const [lost, kept] = [await signIn(key), await signIn(second)]
    const [thief, owner] = [await createClient(house.url, lost.body), await createClient(house.url, kept.body)]
    const elsewhere = await thief.post('/auth/switch-tenant', { tenantId: client.tenantId })
    const there = await createClient(house.url, elsewhere.body)
    expect((await owner.delete(`/auth/passkeys/${id}`, { password })).status).toBe(204)
    for (const ended of [thief, there]) expect((await ended.get('/auth/me')).status).toBe(401)
    expect((await nobody.post('/auth/refresh', { refreshToken: thief.refreshToken })).status).toBe(401)
    for (const live of [owner, client]) expect((await live.get('/auth/me')).status).toBe(200)
    // Who takes away what he himself came by stays, and has shown nothing any more.
    expect((await register(client, createAuthenticator(page))).status).toBe(201)
    expect((await owner.delete(`/auth/passkeys/${made.body.id}`, { password })).status).toBe(204)
    const asked = await owner.post('/auth/passkeys/options', { password })
    expect([asked.status, asked.body.code]).toEqual([403, 'FORBIDDEN'])
    expect((await client.post('/auth/passkeys/options', { password })).status).toBe(200)
  })

  test('of an account without a password is removed after a sign-in of just now', async () => {
    const { client, key, id } = await keyed()
    const by = await createClient(house.url, (await signIn(key)).body)
    await asOwner(house.ownerUrl, async (owner) => {
      await owner.query('update accounts set password_hash = null where email = $1', [client.email])
      await owner.query("update sessions set created_at = created_at - interval '11 minutes' where user_id = $1", [
        client.userId,
      ])
    })
    expect((await by.delete(`/auth/passkeys/${id}`, {})).status).toBe(403)
    const again = await createClient(house.url, (await signIn(key)).body)
    expect((await again.delete(`/auth/passkeys/${id}`, {})).status).toBe(204)
    expect((await by.get('/auth/me')).status).toBe(401)
  })

  test('is added once, and nobody adds that of another', async () => {
    const { client, key } = await keyed()
    expect((await register(client, key)).body.code).toBe('CONFLICT')
    const charlie = await house.found('Globex', 'Charlie')
    expect((await register(charlie, key)).body.code).toBe('CONFLICT')
    expect((await signIn(key)).body.user.id).toBe(client.userId)
  })
})

describe('an answer of a passkey', () => {
  const { privateKey: otherKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const wrong: [string, Twist][] = [
    ['is for another page', { origin: 'https://evil.example' }],
    ['is for another host', { host: 'evil.example' }],
    ['is to a challenge that we never gave', { challenge: Buffer.from(randomUUID()).toString('base64url') }],
    ['was given without finger or word', { flags: 1 }],
    ['was given without anybody there', { flags: 0 }],
  ]
  test.each(wrong)('that %s opens nothing', async (_what, twist) => {
    const { client, key } = await keyed()
    const answer = await signIn(key, twist)
    expect([answer.status, answer.body.code]).toEqual([401, 'UNAUTHENTICATED'])
    const made = await register(client, createAuthenticator(page), twist)
    expect([made.status, made.body.errors[0].path]).toEqual([400, 'response'])
  })

  test('that is signed by another key, or counts back, opens nothing', async () => {
    const { key } = await keyed()
    expect((await signIn(key, { key: otherKey })).status).toBe(401)
    expect((await signIn(key, { counter: 10 })).status).toBe(200)
    expect((await signIn(key, { counter: 10 })).status).toBe(401)
    expect((await signIn(key, { counter: 9 })).status).toBe(401)
    expect((await signIn(key, { counter: 11 })).status).toBe(200)
  })

  test('counts once, also when it comes twice at the same moment, and not after five minutes', async () => {
    const { key } = await keyed()
    const options = (await nobody.post('/auth/passkeys/login/options')).body
    const response = key.get(options)
    const answers = await Promise.all([1, 2, 3].map(() => nobody.post('/auth/passkeys/login', { response })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401])
    const late = (await nobody.post('/auth/passkeys/login/options')).body
    await asOwner(house.ownerUrl, (owner) =>
      owner.query("update passkey_challenges set expires_at = now() - interval '1 second'"),
    )
    expect((await nobody.post('/auth/passkeys/login', { response: key.get(late) })).status).toBe(401)
  })

  test('to the options of somebody else, or of a sign-in, adds none', async () => {
    const { client } = await keyed()
    const key = createAuthenticator(page)
    const others = (await house.alice.post('/auth/passkeys/options', { password })).body
    const open = (await nobody.post('/auth/passkeys/login/options')).body
    for (const options of [others, open]) {
      const answer = await client.post('/auth/passkeys', { name: 'Mine', response: key.create(options) })
      expect([answer.status, answer.body.errors[0].path]).toEqual([400, 'response'])
    }
  })

  test('from another page of ours is taken', async () => {
    const { key } = await keyed()
    expect((await signIn(key, { origin: 'http://app.localhost:5555' })).status).toBe(200)
  })

  test('that is no answer at all is 400 or 401', async () => {
    const { key } = await keyed()
    const options = (await nobody.post('/auth/passkeys/login/options')).body
    const good = key.get(options)
    for (const response of [undefined, {}, { ...good, type: 'password' }, { ...good, response: {} }])
      expect((await nobody.post('/auth/passkeys/login', { response })).status).toBe(400)
    for (const change of [
      { id: 'x', rawId: 'x' },
      { rawId: 'x' },
      { response: { clientDataJSON: 'x', authenticatorData: 'x', signature: 'x' } },
    ])
      expect((await nobody.post('/auth/passkeys/login', { response: { ...good, ...change } })).status).toBe(401)
  })
})

describe.skipIf(!browserPath)('Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  test('makes a passkey of its own and signs in with it', async () => {
    const tab = await browser.newPage()
    await tab.route(`${page}/**`, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>CRM</title>' }),
    )
    await tab.goto(page)
    const devtools = await tab.context().newCDPSession(tab)
    await devtools.send('WebAuthn.enable')
    await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
    const client = await house.found('Initech', 'Peter')
    const creation = (await client.post('/auth/passkeys/options', { password })).body
    const made = await asked(tab, 'create', creation)
    expect((await client.post('/auth/passkeys', { name: 'Chromium', response: made })).status).toBe(201)
    const request = (await nobody.post('/auth/passkeys/login/options')).body
    const signedIn = await nobody.post('/auth/passkeys/login', { response: await asked(tab, 'get', request) })
    expect([signedIn.status, signedIn.body.user.id]).toEqual([200, client.userId])
    await tab.close()
  })

  /** What the browser's own code makes of options, as a page would ask for it. */
  const asked = (tab: Page, call: 'create' | 'get', options: object): Promise<unknown> =>
    tab.evaluate(`(async () => {
      const options = ${JSON.stringify(options)}
      const publicKey = PublicKeyCredential.${call === 'create' ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON'}(options)
      return (await navigator.credentials.${call}({ publicKey })).toJSON()
    })()`)
})
