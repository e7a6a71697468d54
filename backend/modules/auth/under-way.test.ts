import { generate } from 'otplib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { createAuthenticator } from '../../test/authenticator.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient } from '../../test/client.ts'
import { type Hold, hold } from '../../test/hold.ts'
import { mailedToken } from '../../test/mailbox.ts'

const page = 'http://localhost:4444'
let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ environment: { PUBLIC_URL: page } })
})
afterAll(() => house?.stop())

/** Keeps a row of the account of somebody, as long as a sign-in needs it. */
const holdOf = (table: string, key: string, { email }: Client): Promise<Hold> =>
  hold(house.ownerUrl, `select 1 from ${table} where ${key} = (select id from accounts where email = $1) for update`, [
    email,
  ])

const change = (client: Client) =>
  client.post('/auth/password/change', { currentPassword: password, newPassword: 'a newer password' })

/** Changes the password while a call is held, and gives what became of the call. */
async function overtaken<T>(held: Hold, client: Client, call: Promise<T>): Promise<T> {
  await held.until(1, call)
  expect((await change(client)).status).toBe(204)
  await held.release()
  return call
}

describe('a changed password overtakes', () => {
  test('a sign-in whose password was right when it was checked', async () => {
    const client = await house.found('Initech', 'Peter')
    const { secret } = (await client.post('/auth/2fa/enable', { password })).body
    const { recoveryCodes } = (await client.post('/auth/2fa/verify', { code: await generate({ secret }) })).body
    const held = await holdOf('account_recovery_codes', 'account_id', client)
    const signIn = house.nobody.post('/auth/login', { email: client.email, password, totp: recoveryCodes[0] })
    const { status, body } = await overtaken(held, client, signIn)
    expect([status, body.code]).toEqual([401, 'UNAUTHENTICATED'])
    expect((await client.get('/auth/sessions')).body.data).toHaveLength(1)
  })

  test('a sign-in by passkey', async () => {
    const client = await house.found('Initech', 'Peter')
    const key = createAuthenticator(page)
    const options = (await client.post('/auth/passkeys/options', { password })).body
    await client.post('/auth/passkeys', { name: 'Laptop', response: key.create(options) })
    const asked = (await house.nobody.post('/auth/passkeys/login/options')).body
    const held = await holdOf('account_passkeys', 'account_id', client)
    const signIn = house.nobody.post('/auth/passkeys/login', { response: key.get(asked) })
    expect((await overtaken(held, client, signIn)).status).toBe(401)
    expect((await client.get('/auth/sessions')).body.data).toHaveLength(1)
  })

  test('a switch to another tenant', async () => {
    const client = await house.found('Initech', 'Peter')
    await house.alice.post('/users', { name: 'Peter', email: client.email })
    const token = await mailedToken(house.config.storageDir, client.email, /invitation/)
    const thief = await createClient(house.url, (await client.post('/invitations/accept', { token })).body)
    expect(thief.tenantId).toBe(house.alice.tenantId)
    // The session of the other tenant refers to its user.
    const held = await hold(house.ownerUrl, 'select 1 from users where id = $1 for update', [client.userId])
    const switched = thief.post('/auth/switch-tenant', { tenantId: client.tenantId })
    expect((await overtaken(held, client, switched)).status).toBe(401)
  })
})
