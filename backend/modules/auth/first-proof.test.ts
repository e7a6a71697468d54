import { generate } from 'otplib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { createAuthenticator } from '../../test/authenticator.ts'
import { password } from '../../test/cast.ts'
import { createClient } from '../../test/client.ts'
import { filedMail, mailedToken } from '../../test/mailbox.ts'

const page = 'http://localhost:4444'
let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ environment: { PUBLIC_URL: page } })
})
afterAll(() => house?.stop())

/** Somebody with an authenticator and a passkey, whose address nobody has proved. */
async function equipped() {
  const client = await house.found('Initech', 'Peter')
  const { secret } = (await client.post('/auth/2fa/enable', { password })).body
  expect((await client.post('/auth/2fa/verify', { code: await generate({ secret }) })).status).toBe(200)
  const key = createAuthenticator(page)
  const options = (await client.post('/auth/passkeys/options', { password })).body
  expect((await client.post('/auth/passkeys', { name: 'Laptop', response: key.create(options) })).status).toBe(201)
  const byPasskey = async () => {
    const asked = (await house.nobody.post('/auth/passkeys/login/options')).body
    return (await house.nobody.post('/auth/passkeys/login', { response: key.get(asked) })).status
  }
  return { client, email: client.email, byPasskey }
}

const mailed = (email: string, subject: RegExp) => mailedToken(house.config.storageDir, email, subject)
const signIn = (email: string, word: string) => house.nobody.post('/auth/login', { email, password: word })
const fresh = 'a newer password'

async function reset(email: string): Promise<void> {
  await house.nobody.post('/auth/password/forgot', { email })
  const token = await mailed(email, /Choose a new password/)
  expect((await house.nobody.post('/auth/password/reset', { token, password: fresh })).status).toBe(204)
}

describe('the first proof of an address', () => {
  test('by a new password takes the account from who made it, with his factors and passkeys', async () => {
    const { client, email, byPasskey } = await equipped()
    expect(await byPasskey()).toBe(200)
    await reset(email)
    expect([await byPasskey(), (await signIn(email, password)).status]).toEqual([401, 401])
    expect((await client.get('/auth/me')).status).toBe(401)
    const { status, body } = await signIn(email, fresh)
    expect(status).toBe(200)
    const me = (await (await createClient(house.url, body)).get('/auth/me')).body
    expect(me).toMatchObject({ twoFactor: { totp: false, recoveryCodesLeft: 0, passkeys: 0 } })
    expect(me.emailVerifiedAt).not.toBeNull()
    expect((await filedMail(house.config.storageDir, email, /yours alone/)).text).toContain('127.0.0.1')
  })

  test('by its own link takes nothing from anybody, nor does a new password later', async () => {
    const { client, email, byPasskey } = await equipped()
    const token = await mailed(email, /Confirm/)
    expect((await house.nobody.post('/auth/email/verify', { token })).status).toBe(204)
    const me = (await client.get('/auth/me')).body
    expect(me).toMatchObject({ twoFactor: { totp: true, recoveryCodesLeft: 10, passkeys: 1 } })
    await reset(email)
    expect((await signIn(email, fresh)).body.code).toBe('TWO_FACTOR_REQUIRED')
    expect(await byPasskey()).toBe(200)
  })
})
