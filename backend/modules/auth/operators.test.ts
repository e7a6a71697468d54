import jwt from 'jsonwebtoken'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../config.ts'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password, platformAdmin } from '../../test/cast.ts'
import { type Client, createClient } from '../../test/client.ts'

let house: TestApp
let nobody: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ nobody } = house)
})
afterAll(() => house.stop())

describe('a platform operator', () => {
  test('signs in with a token that has no tenant', async () => {
    const { status, body } = await nobody.post('/auth/login', { ...platformAdmin, email: ' OLGA@example.com ' })
    expect([status, body]).toEqual([
      200,
      {
        user: { id: expect.any(String), email: platformAdmin.email, role: 'operator' },
        tenant: null,
        accessToken: expect.any(String),
        refreshToken: expect.any(String),
        expiresIn: 900,
      },
    ])
    expect(jwt.decode(body.accessToken)).toEqual({
      sub: body.user.id,
      role: 'operator',
      sid: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
    })
  })

  test('may do nothing in a tenant, and nothing over a socket', async () => {
    const olga = await house.operator()
    const answers = [
      await olga.get('/contacts'),
      await olga.post('/contacts', { nonsense: true }),
      await olga.get('/auth/me'),
      await olga.get('/auth/sessions'),
    ]
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(answers.map(() => [403, 'FORBIDDEN']))
    expect((await olga.get('/spaceships')).status).toBe(404)
    const socket = io(house.url, {
      path: '/ws',
      transports: ['websocket'],
      reconnection: false,
      auth: { token: olga.token },
    })
    const refused = await new Promise((resolve) => socket.once('connect_error', resolve))
    expect(refused).toMatchObject({ data: { code: 'FORBIDDEN' } })
  })

  test('signs out, and changes refresh tokens as everybody does', async () => {
    const first = (await nobody.post('/auth/login', platformAdmin)).body
    const second = await refresh(first.refreshToken)
    expect([second.status, second.body.tenant]).toEqual([200, null])
    const again = await refresh(first.refreshToken)
    expect([again.status, again.body.refreshToken]).toEqual([200, second.body.refreshToken])
    const olga = await createClient(house.url, second.body)
    expect((await olga.post('/auth/logout')).status).toBe(204)
    expect((await olga.post('/auth/logout')).status).toBe(401)
    expect((await refresh(second.body.refreshToken)).status).toBe(401)
  })

  test('whose refresh token comes from another device too, is signed out on both', async () => {
    const first = (await nobody.post('/auth/login', platformAdmin)).body
    const second = (await refresh(first.refreshToken)).body
    expect((await refresh(first.refreshToken, 'Thief/1.0')).status).toBe(401)
    expect((await refresh(second.refreshToken)).status).toBe(401)
    expect((await (await createClient(house.url, second)).post('/auth/logout')).status).toBe(401)
  })

  test('is told nothing else than anybody when his password is wrong', async () => {
    const told = ({ status, body: { requestId: _requestId, ...body } }: Answer) => ({ status, ...body })
    const wrong = await nobody.post('/auth/login', { ...platformAdmin, password })
    expect(told(wrong)).toEqual(told(await nobody.post('/auth/login', { email: 'nobody@example.com', password })))
    expect(wrong.status).toBe(401)
  })

  test('who is a user too, says by his password who signs in', async () => {
    const user = { organization: 'Initech', name: 'Olga', email: platformAdmin.email.toUpperCase(), password }
    expect((await nobody.post('/auth/register', user)).status).toBe(201)
    const asUser = await nobody.post('/auth/login', { email: platformAdmin.email, password })
    expect([asUser.status, asUser.body.tenant?.name]).toEqual([200, 'Initech'])
    expect((await nobody.post('/auth/login', platformAdmin)).body.tenant).toBeNull()
  })

  test('is out when his password changes, and is nobody where none is configured', async () => {
    const before = (await nobody.post('/auth/login', platformAdmin)).body
    const changed = await createClient(
      (await house.another({ environment: { PLATFORM_ADMIN_PASSWORD: 'another password' } })).url,
      before,
    )
    expect((await changed.post('/auth/logout')).status).toBe(401)
    expect((await changed.post('/auth/refresh', { refreshToken: before.refreshToken })).status).toBe(401)
    const without = { PLATFORM_ADMIN_EMAIL: '', PLATFORM_ADMIN_PASSWORD: '' }
    const none = await createClient((await house.another({ environment: without })).url, before)
    expect((await none.post('/auth/logout')).status).toBe(401)
    expect((await none.post('/auth/login', { email: '', password: '' })).status).toBe(401)
    expect((await none.post('/auth/login', platformAdmin)).status).toBe(401)
  })

  test('is signed in where his session stands, and not longer than it', async () => {
    const { accessToken } = (await nobody.post('/auth/login', platformAdmin)).body
    const { sid } = jwt.decode(accessToken) as jwt.JwtPayload
    const end = `update operator_sessions set expires_at = now() where id = $1`
    expect((await asOwner(house.ownerUrl, (owner) => owner.query(end, [sid]))).rowCount).toBe(1)
    const late = await nobody.post('/auth/logout', undefined, { authorization: `Bearer ${accessToken}` })
    expect(late.status).toBe(401)
  })

  test.each([
    ['of a user', { role: 'operator', tid: undefined }],
    ['of another role', { role: 'owner', tid: undefined }],
  ])('is nobody with a token %s', async (_whose, changes) => {
    const { iat: _iat, exp: _exp, ...claims } = jwt.decode(house.alice.token) as jwt.JwtPayload
    const token = jwt.sign({ ...claims, ...changes }, house.config.jwtSecret, { expiresIn: 900 })
    const { status } = await nobody.get('/contacts', { authorization: `Bearer ${token}` })
    expect(status).toBe(401)
  })
})

test('half an operator stops the start', () => {
  const [email, both] = ['PLATFORM_ADMIN_EMAIL', 'PLATFORM_ADMIN_PASSWORD']
  expect(() => loadConfig({ [email]: platformAdmin.email })).toThrow(`${both}: is required beside ${email}`)
  expect(() => loadConfig({ [both]: platformAdmin.password })).toThrow(`${email}: is required beside ${both}`)
  expect(() => loadConfig({ [email]: 'olga', [both]: 'short' })).toThrow(
    new RegExp(`${email}: .*\\n.*${both}: must have`),
  )
})

const refresh = (refreshToken: string, device = 'Browser/1.0'): Promise<Answer> =>
  nobody.post('/auth/refresh', { refreshToken }, { 'User-Agent': device })
