import { createHmac } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient } from '../../test/client.ts'

let house: TestApp
let alice: Client
let nobody: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, nobody } = house)
})
afterAll(() => house.stop())

let people = 0
const newcomer = () => ({
  organization: 'Initech',
  name: 'Peter',
  email: `Peter.${++people}@Example.com`,
  password: 'TPS reports!',
})

const credentials = ({ email, password }: { email: string; password: string }) => ({ email, password })

describe('registration', () => {
  test('makes the tenant, its owner and a first pipeline, and signs him in', async () => {
    const { status, body } = await nobody.post('/auth/register', newcomer())
    expect(status).toBe(201)
    expect(body).toMatchObject({
      user: { name: 'Peter', role: 'owner' },
      tenant: { name: 'Initech', currency: 'USD', timezone: 'UTC', locale: 'en' },
      expiresIn: 900,
    })
    const peter = await createClient(house.url, body)
    const pipelines = (await peter.get('/pipelines')).body.data
    expect(pipelines).toMatchObject([{ isDefault: true }])
    const kinds = pipelines[0].stages.map(({ kind }: { kind: string }) => kind)
    expect(new Set(kinds)).toEqual(new Set(['open', 'won', 'lost']))
  })

  test('of a further tenant with a known email asks for its password', async () => {
    const person = newcomer()
    const first = await nobody.post('/auth/register', person)
    const wrong = await nobody.post('/auth/register', { ...person, password: 'not the password' })
    expect([wrong.status, wrong.body.code]).toEqual([401, 'UNAUTHENTICATED'])
    const second = await nobody.post('/auth/register', {
      ...person,
      organization: 'Initrode',
      email: person.email.toUpperCase(),
    })
    expect(second.status).toBe(201)
    expect(second.body.tenant.id).not.toBe(first.body.tenant.id)
    const { body } = await nobody.post('/auth/login', credentials(person))
    expect(body.tenant.name).toBe('Initrode')
  })

  test('at the same moment under one email makes one account', async () => {
    const person = newcomer()
    const answers = await Promise.all([1, 2, 3].map(() => nobody.post('/auth/register', person)))
    const made = answers.filter(({ status }) => status === 201).length
    expect(made).toBeGreaterThan(0)
    expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true)
    const accounts = await asOwner(house.ownerUrl, (owner) =>
      owner.query('select 1 from accounts where email_normal = lower($1)', [person.email]),
    )
    expect(accounts.rowCount).toBe(1)
  })

  test('names each member that is wrong', async () => {
    const wrong = { organization: ' ', name: '', email: 'peter', password: 'short', admin: true }
    const { status, body } = await nobody.post('/auth/register', wrong)
    expect([status, body.errors.map(({ path }: { path: string }) => path).sort()]).toEqual([
      400,
      Object.keys(wrong).sort(),
    ])
  })

  test('can be closed, and sign-in stays open', async () => {
    const closed = await house.another({ environment: { REGISTRATION: 'off' } })
    const visitor = await createClient(closed.url)
    const { status, body } = await visitor.post('/auth/register', newcomer())
    expect([status, body.code]).toEqual([403, 'FORBIDDEN'])
    expect((await visitor.post('/auth/login', { email: alice.email, password })).status).toBe(200)
  })
})

describe('sign-in', () => {
  test('takes the email in any case', async () => {
    const { status, body } = await nobody.post('/auth/login', { email: ` ${alice.email.toUpperCase()} `, password })
    expect([status, body.user.id]).toEqual([200, alice.userId])
  })

  test('answers an unknown email like a wrong password', async () => {
    const unknown = await nobody.post('/auth/login', { email: 'nobody@example.com', password })
    const wrong = await nobody.post('/auth/login', { email: alice.email, password: 'wrong password' })
    const told = ({ status, body: { requestId: _requestId, ...body } }: Answer) => ({ status, ...body })
    expect(told(unknown)).toEqual(told(wrong))
    expect(told(wrong)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
  })

  test('never tells a password or its hash', async () => {
    const person = newcomer()
    const made = await nobody.post('/auth/register', person)
    const known = await createClient(house.url, made.body)
    const told = [made, await known.get('/auth/me'), await known.get('/users'), await known.get('/timeline')]
    for (const { body } of told) expect(JSON.stringify(body)).not.toMatch(/TPS reports|argon2|password/i)
  })
})

describe('a refresh token', () => {
  test('gives the next one and an access token, and ends itself', async () => {
    const first = await signIn()
    const second = await refresh(first.refreshToken)
    expect(second.body.refreshToken).not.toBe(first.refreshToken)
    const third = await refresh(second.body.refreshToken)
    expect((await (await createClient(house.url, third.body)).get('/auth/me')).status).toBe(200)
  })

  test('sent twice by the same device at once gives the same successor', async () => {
    const { refreshToken } = await signIn()
    const answers = await Promise.all([refresh(refreshToken), refresh(refreshToken), refresh(refreshToken)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const successors = new Set(answers.map(({ body }) => body.refreshToken))
    expect(successors.size).toBe(1)
    expect((await refresh([...successors][0])).status).toBe(200)
  })

  const thieves: [string, (stolen: string, owner: string) => Promise<Answer>][] = [
    ['by another device', (stolen) => refresh(stolen, 'Thief/1.0')],
    [
      'when it is older than the last',
      async (stolen, successor) => {
        await refresh(successor)
        return refresh(stolen)
      },
    ],
    [
      'later than a lost answer',
      async (stolen) => {
        await asOwner(house.ownerUrl, (owner) =>
          owner.query(
            `update sessions set rotated_at = rotated_at - interval '11 seconds' where rotated_at is not null`,
          ),
        )
        return refresh(stolen)
      },
    ],
  ]
  test.each(thieves)('sent twice %s ends its whole family', async (_how, steal) => {
    const first = await signIn()
    const second = (await refresh(first.refreshToken)).body
    const stolen = await steal(first.refreshToken, second.refreshToken)
    expect([stolen.status, stolen.body.code]).toEqual([401, 'UNAUTHENTICATED'])
    expect((await refresh(second.refreshToken)).status).toBe(401)
    const owner = await createClient(house.url, second)
    expect((await owner.get('/auth/me')).status).toBe(401)
  })

  test('that is forged, of nobody or no token is 401, and none at all 400', async () => {
    const { refreshToken } = await signIn()
    const [id, generation, mac = ''] = refreshToken.split('.')
    const foreign = createHmac('sha256', 'another secret').update(`refresh ${id} 2`).digest('base64url')
    for (const token of [
      `${id}.2.${mac}`,
      `${id}.2.${foreign}`,
      `${id}.${generation}.${mac}x`,
      'x',
      '',
      `${id}.${generation}.`,
      alice.token,
      (await alice.post('/api-keys', { name: 'Sync', scopes: ['contact:read'] })).body.key,
    ])
      expect([token, (await refresh(token)).status]).toEqual([token, 401])
    const { status, body } = await nobody.post('/auth/refresh')
    expect([status, body.errors[0].path]).toEqual([400, 'refreshToken'])
    expect((await refresh(refreshToken)).status).toBe(200)
  })

  test('lives in a cookie that scripts cannot read, where a browser asks for it', async () => {
    const signedIn = await nobody.post('/auth/login', { email: alice.email, password, cookie: true })
    expect(signedIn.body).not.toHaveProperty('refreshToken')
    const cookie = signedIn.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict/)
    expect(cookie).toMatch(/Path=\/api\/v1\/auth;/)
    const next = await nobody.post('/auth/refresh', undefined, { cookie: `theme=dark; ${cookie.split(';', 1)[0]}` })
    expect([next.status, 'refreshToken' in next.body]).toEqual([200, false])
    expect(next.headers.get('set-cookie')).toMatch(/^clientforge_refresh=[^;]{40}/)
    expect(next.headers.get('set-cookie')).not.toBe(cookie)
    const browser = await createClient(house.url, next.body)
    const out = await browser.post('/auth/logout')
    expect(out.headers.get('set-cookie')).toMatch(/^clientforge_refresh=;.*Max-Age=0/)
  })
})

describe('an access token', () => {
  const claims = () => {
    const { iat: _iat, exp: _exp, ...rest } = jwt.decode(alice.token) as jwt.JwtPayload
    return rest
  }
  const tampered = () => {
    const [head, , mac] = alice.token.split('.')
    const payload = Buffer.from(JSON.stringify({ ...claims(), tid: house.charlie.tenantId, exp: 4e9 }))
    return [head, payload.toString('base64url'), mac].join('.')
  }
  const other = (changes: object, seconds = 900) =>
    jwt.sign({ ...claims(), ...changes }, house.config.jwtSecret, { expiresIn: seconds })
  const forgeries: [string, () => string][] = [
    ['is tampered with', tampered],
    ['has expired', () => other({}, -1)],
    ['is not signed', () => jwt.sign(claims(), null, { algorithm: 'none', expiresIn: 900 })],
    ['is signed with another secret', () => jwt.sign(claims(), 'another secret', { expiresIn: 900 })],
    ['is signed otherwise', () => jwt.sign(claims(), house.config.jwtSecret, { algorithm: 'HS512', expiresIn: 900 })],
    ['never expires', () => jwt.sign(claims(), house.config.jwtSecret)],
    ['names another’s session', () => other({ sub: house.bob.userId })],
    ['names another tenant', () => other({ tid: house.charlie.tenantId })],
    ['names no session', () => other({ sid: undefined })],
    ['names a session that never was', () => other({ sid: alice.userId })],
    ['holds no ids', () => other({ sub: 'alice', tid: 'acme', sid: '1' })],
    ['is a refresh token', () => alice.refreshToken],
    ['is no token', () => 'x'],
  ]
  test.each(forgeries)('that %s is 401', async (_what, forge) => {
    // Whose session is known already must not help a token that is wrong.
    expect((await alice.get('/auth/me')).status).toBe(200)
    const { status, body, headers } = await nobody.get('/auth/me', { authorization: `Bearer ${forge()}` })
    expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'UNAUTHENTICATED', 'Bearer'])
  })

  test('of ours opens the door', async () => {
    expect((await nobody.get('/auth/me', { authorization: `bearer ${other({})}` })).status).toBe(200)
    expect((await nobody.get('/auth/me', { authorization: alice.token })).status).toBe(401)
  })
})

describe('the signed-in', () => {
  test('reads who he is and what he may', async () => {
    const { body } = await house.bob.get('/auth/me')
    expect(body).toMatchObject({
      user: { id: house.bob.userId, name: 'Bob' },
      tenant: { id: alice.tenantId, name: 'Acme' },
      role: 'member',
    })
    expect(body.permissions).toEqual(
      expect.arrayContaining([
        { resource: 'deal', action: 'read', scope: 'all' },
        { resource: 'deal', action: 'update', scope: 'own' },
        { resource: 'tag', action: 'create', scope: 'all' },
      ]),
    )
    expect(body.permissions).not.toContainEqual(expect.objectContaining({ resource: 'user', action: 'create' }))
  })

  test('changes his own name, zone and language, and nothing else', async () => {
    const vera = await house.join('Vera', 'viewer')
    const { status, body } = await vera.patch('/auth/me', { name: 'Vera V.', timezone: 'Europe/Berlin', locale: 'de' })
    expect([status, body.user]).toEqual([
      200,
      expect.objectContaining({ name: 'Vera V.', timezone: 'Europe/Berlin', locale: 'de' }),
    ])
    expect((await vera.patch('/auth/me', { timezone: null })).body.user).toMatchObject({
      timezone: null,
      name: 'Vera V.',
    })
    for (const change of [
      { role: 'owner' },
      { active: false },
      { email: 'v@example.com' },
      { timezone: 'Mars/Olympus' },
      { name: ' ' },
    ])
      expect([change, (await vera.patch('/auth/me', change)).status]).toEqual([change, 400])
  })

  test('signs out, which ends this session and no other', async () => {
    const [here, there] = [await signedIn(), await signedIn()]
    expect((await here.post('/auth/logout')).status).toBe(204)
    expect((await here.get('/auth/me')).status).toBe(401)
    expect((await refresh(here.refreshToken)).status).toBe(401)
    expect((await there.get('/auth/me')).status).toBe(200)
  })

  test('sees his devices, and signs one out that he lost', async () => {
    const person = newcomer()
    const here = await createClient(house.url, (await nobody.post('/auth/register', person)).body)
    const lost = await nobody.post('/auth/login', credentials(person), { 'User-Agent': 'Lost phone' })
    const { data } = (await here.get('/auth/sessions')).body
    expect(data).toMatchObject([{ userAgent: 'Lost phone', current: false }, { current: true }])
    const first = (await here.get('/auth/sessions?limit=1')).body
    const second = (await here.get(`/auth/sessions?limit=1&cursor=${first.page.nextCursor}`)).body
    expect([...first.data, ...second.data, second.page.nextCursor]).toEqual([...data, null])
    expect((await house.bob.delete(`/auth/sessions/${data[0].id}`)).status).toBe(404)
    expect((await here.delete(`/auth/sessions/${data[0].id}`)).status).toBe(204)
    expect((await here.delete(`/auth/sessions/${data[0].id}`)).status).toBe(404)
    const phone = await createClient(house.url, lost.body)
    expect((await phone.get('/auth/me')).status).toBe(401)
    expect((await here.get('/auth/sessions')).body.data).toMatchObject([{ current: true }])
  })
})

const refresh = (refreshToken: string | undefined, device = 'Browser/1.0'): Promise<Answer> =>
  nobody.post('/auth/refresh', { refreshToken }, { 'User-Agent': device })

/** Bob's device: Alice's own session stays. */
async function signIn(): Promise<Parameters<typeof createClient>[1] & { refreshToken: string }> {
  const { body } = await nobody.post(
    '/auth/login',
    { email: house.bob.email, password },
    { 'User-Agent': 'Browser/1.0' },
  )
  return body
}

const signedIn = async (): Promise<Client> => createClient(house.url, await signIn())
