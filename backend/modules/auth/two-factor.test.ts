import { randomUUID } from 'node:crypto'
import { generate } from 'otplib'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { type Mailbox, startMailbox } from '../../test/mailbox.ts'

let mailbox: Mailbox
let house: TestApp

beforeAll(async () => {
  mailbox = await startMailbox()
  const environment = { SMTP_URL: mailbox.url, EMAIL_FROM: 'crm@example.com' }
  house = await startTestApp({ environment })
})
afterAll(async () => {
  await house?.stop()
  await mailbox?.stop()
})

/** Somebody with an authenticator. */
async function secured() {
  const client = await house.found('Initech', 'Peter')
  const { secret } = (await client.post('/auth/2fa/enable', { password })).body
  const { body } = await client.post('/auth/2fa/verify', { code: await codeOf(secret) })
  const recoveryCodes: string[] = body.recoveryCodes
  return { client, secret, recoveryCodes, email: client.email }
}

/** A code of the authenticator, some steps of half a minute from now. */
const codeOf = (secret: string, steps = 0): Promise<string> =>
  generate({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * steps })

const signIn = (email: string, totp?: string, word = password): Promise<Answer> =>
  house.nobody.post('/auth/login', { email, password: word, ...(totp === undefined ? {} : { totp }) })

/** A code that is none of those which count now. */
async function wrongCode(secret: string): Promise<string> {
  const good = await Promise.all([-1, 0, 1].map((steps) => codeOf(secret, steps)))
  return ['000000', '111111', '222222', '333333'].find((code) => !good.includes(code)) ?? ''
}

/** As if half an hour had gone by: every code of now is fresh, and no wrong try counts. */
const later = () =>
  asOwner(house.ownerUrl, async (owner) => {
    await owner.query('update account_totp set last_step = last_step - 60')
    await owner.query('delete from sign_in_attempts')
  })

const told = ({ status, body }: Answer) => [status, body.code]

describe('a second factor', () => {
  test('is proposed for the password, on from its first code, and told by mail', async () => {
    const client = await house.found('Initech', 'Peter')
    const refused = await client.post('/auth/2fa/enable', { password: 'wrong password' })
    expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'password'])
    expect(told(await client.post('/auth/2fa/verify', { code: '123456' }))).toEqual([409, 'CONFLICT'])
    const first = (await client.post('/auth/2fa/enable', { password })).body
    const { secret, uri } = (await client.post('/auth/2fa/enable', { password })).body
    expect(new URL(uri)).toMatchObject({ protocol: 'otpauth:', host: 'totp' })
    expect(new URL(uri).searchParams.get('secret')).toBe(secret)
    expect(decodeURIComponent(uri)).toContain(`ClientForge:${client.email}`)
    expect((await signIn(client.email)).status).toBe(200)
    const stale = await client.post('/auth/2fa/verify', { code: await codeOf(first.secret) })
    expect([stale.status, stale.body.errors[0].path]).toEqual([400, 'code'])
    const on = await client.post('/auth/2fa/verify', { code: await codeOf(secret) })
    expect([on.status, on.body.recoveryCodes.length, new Set(on.body.recoveryCodes).size]).toEqual([200, 10, 10])
    expect((await client.get('/auth/me')).body.twoFactor).toEqual({ totp: true, recoveryCodesLeft: 10, passkeys: 0 })
    expect(told(await client.post('/auth/2fa/enable', { password }))).toEqual([409, 'CONFLICT'])
    await mailbox.newest(client.email, /second factor was turned on/)
  })

  test('is asked for after the right password only', async () => {
    const { email, secret } = await secured()
    await later()
    expect(told(await signIn(email, undefined, 'wrong password'))).toEqual([401, 'UNAUTHENTICATED'])
    expect(told(await signIn(email, await codeOf(secret), 'wrong password'))).toEqual([401, 'UNAUTHENTICATED'])
    expect(told(await signIn(email))).toEqual([401, 'TWO_FACTOR_REQUIRED'])
    expect(told(await signIn(email, await wrongCode(secret)))).toEqual([401, 'UNAUTHENTICATED'])
    const right = await codeOf(secret)
    expect((await signIn(email, ` ${right.slice(0, 3)} ${right.slice(3)}`)).status).toBe(200)
  })

  test('takes no code twice, not at the same moment either, and none of long ago', async () => {
    const { email, secret } = await secured()
    expect((await signIn(email, await codeOf(secret))).status).toBe(401)
    await later()
    const code = await codeOf(secret)
    const answers = await Promise.all([1, 2, 3].map(() => signIn(email, code)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401])
    expect((await signIn(email, await codeOf(secret, -1))).status).toBe(401)
    expect((await signIn(email, await codeOf(secret, 3))).status).toBe(401)
  })

  test('is replaced by a recovery code when the device is lost, each once, and that is told by mail', async () => {
    const { email, client, recoveryCodes } = await secured()
    const [first = '', second = '', third = ''] = recoveryCodes
    expect((await signIn(email, first)).status).toBe(200)
    expect((await signIn(email, first)).status).toBe(401)
    expect((await signIn(email, second.toUpperCase().replaceAll('-', ' '))).status).toBe(200)
    expect((await client.get('/auth/me')).body.twoFactor.recoveryCodesLeft).toBe(8)
    await mailbox.newest(email, /recovery code was used/)
    const renewed = await client.post('/auth/2fa/recovery-codes', { password, code: third })
    expect([renewed.status, renewed.body.recoveryCodes.length]).toEqual([200, 10])
    expect((await signIn(email, recoveryCodes[3])).status).toBe(401)
    expect((await signIn(email, renewed.body.recoveryCodes[0])).status).toBe(200)
  })

  test('is turned off by password and code together', async () => {
    const { email, client, secret } = await secured()
    await later()
    const code = await codeOf(secret)
    expect((await client.post('/auth/2fa/disable', { password: 'wrong', code })).status).toBe(400)
    expect((await client.post('/auth/2fa/disable', { password, code: await wrongCode(secret) })).status).toBe(400)
    expect((await client.post('/auth/2fa/disable', { password, code })).status).toBe(204)
    expect((await signIn(email)).status).toBe(200)
    expect(told(await client.post('/auth/2fa/disable', { password, code }))).toEqual([409, 'CONFLICT'])
    await mailbox.newest(email, /second factor was turned off/)
  })

  test('stands before a further tenant too, whose session leads to the others', async () => {
    const { email, secret } = await secured()
    await later()
    const register = (totp?: string) =>
      house.nobody.post('/auth/register', { organization: 'Initrode', name: 'Peter', email, password, totp })
    expect(told(await register())).toEqual([401, 'TWO_FACTOR_REQUIRED'])
    expect((await register(await codeOf(secret))).status).toBe(201)
  })

  test('that is guessed waits and is then refused, from whichever address', async () => {
    const { email, secret } = await secured()
    await later()
    const wrong = await wrongCode(secret)
    expect((await signIn(email, wrong)).status).toBe(401)
    const counted = await asOwner(house.ownerUrl, (owner) => owner.query('select address from sign_in_attempts'))
    expect(counted.rowCount).toBe(2)
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(`insert into sign_in_attempts (subject, address)
                   select subject, address from sign_in_attempts, generate_series(1, 60) where address like 'code %'`),
    )
    expect(told(await signIn(email, await codeOf(secret)))).toEqual([429, 'RATE_LIMITED'])
    await later()
    expect((await signIn(email, await codeOf(secret))).status).toBe(200)
  })

  /** As if so many wrong codes had come since the last right one. */
  const guessed = (email: string, times: number) =>
    asOwner(house.ownerUrl, (owner) =>
      owner.query(
        'update account_totp set wrong_codes = $2 where account_id = (select id from accounts where email = $1)',
        [email, times],
      ),
    )

  test('takes no code after a hundred wrong ones, tells its owner, and lets him in by a recovery code', async () => {
    const { email, secret, recoveryCodes } = await secured()
    await later()
    await guessed(email, 98)
    const wrong = await wrongCode(secret)
    for (const times of [99, 100]) expect([times, (await signIn(email, wrong)).status]).toEqual([times, 401])
    for (const code of [wrong, await codeOf(secret)])
      expect(told(await signIn(email, code))).toEqual([403, 'TWO_FACTOR_REFUSED'])
    expect((await mailbox.newest(email, /Somebody has your password/)).text).toContain('127.0.0.1')
    expect((await signIn(email, recoveryCodes[0])).status).toBe(200)
    expect((await signIn(email, await codeOf(secret))).status).toBe(200)
    expect(mailbox.received(email).filter(({ subject }) => /Somebody has/.test(subject ?? ''))).toHaveLength(1)
  })

  test('forgets wrong codes at a right one, and at a new password', async () => {
    const { client, email, secret } = await secured()
    await later()
    await guessed(email, 99)
    expect((await signIn(email, await codeOf(secret))).status).toBe(200)
    expect((await signIn(email, await wrongCode(secret))).status).toBe(401)
    await later()
    await guessed(email, 100)
    const changed = { currentPassword: password, newPassword: 'a newer password' }
    expect((await client.post('/auth/password/change', changed)).status).toBe(204)
    expect((await signIn(email, await codeOf(secret), changed.newPassword)).status).toBe(200)
  })

  test('cannot be read where it is stored, nor in events and timeline', async () => {
    const { client, secret, recoveryCodes } = await secured()
    const kept = await asOwner(house.ownerUrl, async (owner) => {
      const { rows } = await owner.query(
        `select (select string_agg(t::text, ' ') from account_totp t) || (select string_agg(c::text, ' ') from account_recovery_codes c)
           || (select string_agg(e::text, ' ') from events e) as text`,
      )
      return String(rows[0].text)
    })
    expect(kept).toContain('v1:')
    for (const word of [secret, ...recoveryCodes, ...recoveryCodes.map((code) => code.replaceAll('-', ''))])
      expect(kept).not.toContain(word)
    await eventually(async () => {
      const { data } = (await client.get('/timeline/me')).body
      return data.some(({ metadata }: { metadata: { verb?: string } }) => metadata.verb === 'two_factor_enabled')
    }, 'the second factor in the timeline')
  })
})

describe('a tenant that asks for a second factor', () => {
  test('begins to with the day in UTC, wherever the server of the database is', async () => {
    const client = await house.found('Initech', 'Peter')
    const alter = (words: string) =>
      asOwner(house.ownerUrl, async (owner) => {
        const { rows } = await owner.query('select current_database() as name')
        await owner.query(`alter database ${rows[0].name} ${words}`)
      })
    const today = new Date().toISOString().slice(0, 10)
    await askedFrom(client, today)
    // A hundred hours west, where that day is far.
    await alter(`set timezone to '<FAR>+100'`)
    const { url } = await house.another()
    await alter('reset timezone')
    const { body } = await house.nobody.post('/auth/login', { email: client.email, password })
    expect(told(await (await createClient(url, body)).get('/contacts'))).toEqual([403, 'TWO_FACTOR_ENROLMENT_REQUIRED'])
  })

  const askedFrom = async (client: Client, when: string) =>
    expect((await client.patch('/tenant', { settings: { requireTwoFactorFrom: when } })).status).toBe(200)

  test('lets nobody do anything but get one, from the date on', async () => {
    const client = await house.found('Initech', 'Peter')
    await askedFrom(client, '2099-01-01')
    expect((await client.get('/contacts')).status).toBe(200)
    await askedFrom(client, '2026-01-01')
    await eventually(async () => (await client.get('/contacts')).status === 403, 'the date')
    const enrolling = await createClient(house.url, (await signIn(client.email)).body)
    expect(told(await enrolling.get('/contacts'))).toEqual([403, 'TWO_FACTOR_ENROLMENT_REQUIRED'])
    expect(told(await enrolling.patch('/auth/me', { name: 'P' }))).toEqual([403, 'TWO_FACTOR_ENROLMENT_REQUIRED'])
    expect(await connected(enrolling)).toBe('TWO_FACTOR_ENROLMENT_REQUIRED')
    expect((await enrolling.get('/auth/me')).status).toBe(200)
    const refreshed = await house.nobody.post('/auth/refresh', { refreshToken: enrolling.refreshToken })
    const again = await createClient(house.url, refreshed.body)
    expect((await again.get('/contacts')).status).toBe(403)
    const { secret } = (await again.post('/auth/2fa/enable', { password })).body
    expect((await again.post('/auth/2fa/verify', { code: await codeOf(secret) })).status).toBe(200)
    expect((await again.get('/contacts')).status).toBe(200)
    expect(await connected(again)).toBe('connected')
    await later()
    const next = await createClient(house.url, (await signIn(client.email, await codeOf(secret))).body)
    expect((await next.get('/contacts')).status).toBe(200)
    await later()
    expect((await next.post('/auth/2fa/disable', { password, code: await codeOf(secret) })).status).toBe(204)
    await eventually(async () => (await next.get('/contacts')).status === 403, 'the end of the second factor')
  })

  test('closes the sockets of who has shown none, when it begins to and when he turns his off', async () => {
    const client = await house.found('Initech', 'Peter')
    const first = await listen(client)
    await askedFrom(client, '2026-01-01')
    expect(await first.closed).toBe('second_factor_required')
    const { secret } = (await client.post('/auth/2fa/enable', { password })).body
    expect((await client.post('/auth/2fa/verify', { code: await codeOf(secret) })).status).toBe(200)
    const second = await listen(client)
    await later()
    expect((await client.post('/auth/2fa/disable', { password, code: await codeOf(secret) })).status).toBe(204)
    expect(await second.closed).toBe('second_factor_required')
  })

  /** The reason why a socket is closed that is open now. */
  async function listen({ token }: Client): Promise<{ closed: Promise<string> }> {
    const socket = io(house.url, { path: '/ws', auth: { token }, transports: ['websocket'], reconnection: false })
    const closed = new Promise<string>((resolve) => {
      socket.on('connection:closing', ({ reason }) => resolve(reason))
    })
    await new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(undefined))
      socket.once('connect_error', reject)
    })
    return { closed }
  }

  const connected = (client: Client): Promise<string> =>
    new Promise((resolve) => {
      const socket = io(house.url, {
        path: '/ws',
        auth: { token: client.token },
        transports: ['websocket'],
        reconnection: false,
      })
      const end = (word: string) => {
        socket.close()
        resolve(word)
      }
      socket.on('connect', () => end('connected'))
      socket.on('connect_error', (error: Error & { data?: { code?: string } }) =>
        end(error.data?.code ?? error.message),
      )
    })
})

test('nobody touches the second factor of another, and nobody without a token anything', async () => {
  const { client } = await secured()
  for (const path of ['/auth/2fa/enable', '/auth/2fa/verify', '/auth/2fa/disable', '/auth/2fa/recovery-codes'])
    expect([path, (await house.nobody.post(path, {})).status]).toEqual([path, 401])
  expect(told(await house.alice.post('/auth/2fa/disable', { password, code: randomUUID() }))).toEqual([409, 'CONFLICT'])
  expect((await client.get('/auth/me')).body.twoFactor.totp).toBe(true)
})
