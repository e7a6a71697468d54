import { randomUUID } from 'node:crypto'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { type Mailbox, startMailbox } from '../../test/mailbox.ts'

let mailbox: Mailbox
let environment: Record<string, string>
let house: TestApp
let nobody: Client

beforeAll(async () => {
  mailbox = await startMailbox()
  environment = {
    SMTP_URL: mailbox.url,
    EMAIL_FROM: 'ClientForge <crm@example.com>',
    PUBLIC_URL: 'https://crm.example.com/',
  }
  house = await startTestApp({ environment })
  nobody = house.nobody
})
afterAll(async () => {
  await house?.stop()
  await mailbox?.stop()
})

const password = 'TPS reports!'

/** Registers somebody new and gives what he signs in with. */
async function newcomer(name = 'Peter') {
  const email = `Peter.${randomUUID()}@example.com`
  const made = await nobody.post('/auth/register', { organization: 'Initech', name, email, password })
  expect(made.status).toBe(201)
  return { email, password, client: await createClient(house.url, made.body) }
}

const signIn = (email: string, word: string): Promise<Answer> => nobody.post('/auth/login', { email, password: word })

/** The token of the newest mail about something, and its whole text. */
async function tokenFor(email: string, subject: RegExp): Promise<string> {
  const { text = '' } = await mailbox.newest(email, subject)
  return / *https:\/\/crm\.example\.com\/[\w-]+\?token=([\w.-]+)/.exec(text)?.[1] ?? ''
}

const forgot = (email: string): Promise<Answer> => nobody.post('/auth/password/forgot', { email })
const reset = (token: string, word = 'a newer password'): Promise<Answer> =>
  nobody.post('/auth/password/reset', { token, password: word })

describe('an email address', () => {
  test('is confirmed by the link of the mail that registration sends, once', async () => {
    const { email, client } = await newcomer('Peter <b>Gibbons</b>')
    expect((await client.get('/auth/me')).body.emailVerifiedAt).toBeNull()
    const mail = await mailbox.newest(email, /Confirm/)
    expect(mail).toMatchObject({ from: { address: 'crm@example.com' }, to: [{ address: email }] })
    expect(mail.html).toContain('Hello Peter &#60;b&#62;Gibbons&#60;/b&#62;')
    const token = await tokenFor(email, /Confirm/)
    expect(mail.html).toContain(`href="https://crm.example.com/verify-email?token=${token}"`)
    expect((await nobody.post('/auth/email/verify', { token })).status).toBe(204)
    expect((await client.get('/auth/me')).body.emailVerifiedAt).toMatch(/^20.*Z$/)
    expect(refusal(await nobody.post('/auth/email/verify', { token }))).toEqual([400, 'token'])
    await client.post('/auth/email/resend')
    await told(client, 'email_verified')
    expect(mailbox.received(email)).toHaveLength(1)
  })

  test('is mailed again to who asks, which makes the older link void, and no more than five times an hour', async () => {
    const { email, client } = await newcomer()
    const first = await tokenFor(email, /Confirm/)
    expect((await client.post('/auth/email/resend')).status).toBe(202)
    const second = await eventually(async () => {
      const token = await tokenFor(email, /Confirm/)
      return token !== first && token
    }, 'the second mail')
    expect(refusal(await nobody.post('/auth/email/verify', { token: first }))).toEqual([400, 'token'])
    for (let sent = 2; sent < 5; sent++) expect((await client.post('/auth/email/resend')).status).toBe(202)
    const sixth = await client.post('/auth/email/resend')
    expect([sixth.status, sixth.body.code, sixth.headers.get('retry-after')]).toEqual([429, 'RATE_LIMITED', '3600'])
    expect(refusal(await nobody.post('/auth/email/verify', { token: second }))).toEqual([400, 'token'])
  })

  test('is not confirmed by a token that is forged, expired, for something else or none', async () => {
    const { email } = await newcomer()
    const token = await tokenFor(email, /Confirm/)
    await forgot(email)
    const other = await tokenFor(email, /Choose/)
    const [id = '', mac = ''] = token.split('.')
    for (const wrong of [`${id}.${mac.slice(1)}A`, `${randomUUID()}.${mac}`, other, id, 'x', ''])
      expect([wrong, ...refusal(await nobody.post('/auth/email/verify', { token: wrong }))]).toEqual([
        wrong,
        400,
        'token',
      ])
    await aged(id)
    expect(refusal(await nobody.post('/auth/email/verify', { token }))).toEqual([400, 'token'])
  })
})

describe('a forgotten password', () => {
  test('is replaced by the link of a mail, which ends every session and is told by mail', async () => {
    const { email, client } = await newcomer()
    const asked = await forgot(` ${email.toUpperCase()} `)
    expect([asked.status, asked.body]).toEqual([202, ''])
    const token = await tokenFor(email, /Choose a new password/)
    expect((await reset(token)).status).toBe(204)
    expect([(await signIn(email, password)).status, (await signIn(email, 'a newer password')).status]).toEqual([
      401, 200,
    ])
    expect((await client.get('/auth/me')).status).toBe(401)
    expect((await mailbox.newest(email, /was changed/)).text).toContain('127.0.0.1')
    const again = await createClient(house.url, (await signIn(email, 'a newer password')).body)
    expect((await again.get('/auth/me')).body.emailVerifiedAt).not.toBeNull()
  })

  test('is answered alike for an email that nobody has, and nobody gets a mail', async () => {
    const { email } = await newcomer()
    const unknown = `nobody.${randomUUID()}@example.com`
    const answers = [await forgot(unknown), await forgot(email)]
    const shown = answers.map(({ status, body, headers }) => [status, body, headers.get('content-length')])
    expect(shown[0]).toEqual(shown[1])
    await tokenFor(email, /Choose/)
    expect(mailbox.received(unknown)).toEqual([])
  })

  test('takes its link once, also when it comes twice at the same moment', async () => {
    const { email } = await newcomer()
    await forgot(email)
    const token = await tokenFor(email, /Choose/)
    const answers = await Promise.all([reset(token, 'the first of them'), reset(token, 'the second one')])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 400])
    expect(refusal(await reset(token))).toEqual([400, 'token'])
  })

  test('takes only the newest link, within its hour, and none after the password was changed', async () => {
    const { email, client } = await newcomer()
    await forgot(email)
    const first = await tokenFor(email, /Choose/)
    await forgot(email)
    const second = await eventually(async () => {
      const token = await tokenFor(email, /Choose/)
      return token !== first && token
    }, 'the second mail')
    expect(refusal(await reset(first))).toEqual([400, 'token'])
    const changed = await client.post('/auth/password/change', {
      currentPassword: password,
      newPassword: 'changed meanwhile',
    })
    expect(changed.status).toBe(204)
    expect(refusal(await reset(second))).toEqual([400, 'token'])
    await forgot(email)
    const third = await eventually(async () => {
      const token = await tokenFor(email, /Choose/)
      return token !== second && token
    }, 'the third mail')
    await aged(third.split('.')[0] ?? '')
    expect(refusal(await reset(third))).toEqual([400, 'token'])
    expect(refusal(await reset(third, 'short'))).toEqual([400, 'password'])
  })
})

describe('a changed password', () => {
  test('needs the current one, and ends every other session in every tenant and process, with its sockets', async () => {
    const { email, client } = await newcomer()
    const second = await nobody.post('/auth/register', { organization: 'Initrode', name: 'Peter', email, password })
    const elsewhere = await createClient(house.url, second.body)
    const other = await house.another({ environment })
    const there = await createClient(other.url, second.body)
    expect((await there.get('/auth/me')).status).toBe(200)
    const socket = io(other.url, { path: '/ws', auth: { token: elsewhere.token }, transports: ['websocket'] })
    const closed = new Promise((resolve) => socket.on('disconnect', resolve))
    await new Promise((resolve) => socket.on('connect', () => resolve(undefined)))
    const change = (currentPassword: string, newPassword = 'a newer password') =>
      client.post('/auth/password/change', { currentPassword, newPassword })
    expect(refusal(await change('not the password'))).toEqual([400, 'currentPassword'])
    expect(refusal(await change(password, 'short'))).toEqual([400, 'newPassword'])
    expect((await elsewhere.get('/auth/me')).status).toBe(200)
    expect((await change(password)).status).toBe(204)
    expect((await client.get('/auth/me')).status).toBe(200)
    expect((await elsewhere.get('/auth/me')).status).toBe(401)
    await eventually(async () => (await there.get('/auth/me')).status === 401, 'the end in the other process')
    await closed
    socket.close()
    expect((await nobody.post('/auth/refresh', { refreshToken: elsewhere.refreshToken })).status).toBe(401)
    await mailbox.newest(email, /was changed/)
    await told(client, 'password_changed')
  })

  test('leaves no secret in the log, the timeline or the queue', async () => {
    const { email, client } = await newcomer()
    await forgot(email)
    const tokens = [await tokenFor(email, /Confirm/), await tokenFor(email, /Choose/)]
    await told(client, 'password_reset_requested')
    const kept = await asOwner(house.ownerUrl, async (owner) => {
      const tables = await owner.query(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
      )
      const found: string[] = []
      for (const { name } of tables.rows)
        for (const token of tokens) {
          const mac = token.split('.')[1] ?? token
          const rows = await owner.query(`select 1 from ${name} t where position($1 in t::text) > 0 limit 1`, [mac])
          if (rows.rowCount) found.push(name)
        }
      return found
    })
    expect(kept).toEqual([])
  })
})

const refusal = ({ status, body }: Answer) => [status, body.errors?.[0]?.path]

/** Waits for what the timeline of an owner tells of his account. */
const told = (client: Client, verb: string) =>
  eventually(async () => {
    const { data } = (await client.get('/timeline/me?limit=50')).body
    const { data: all } = (await client.get('/timeline?limit=50')).body
    return [...data, ...all].find(({ metadata }: { metadata: { verb?: string } }) => metadata.verb === verb)
  }, `${verb} in the timeline`)

/** Lets a link expire. */
const aged = (id: string) =>
  asOwner(house.ownerUrl, (owner) =>
    owner.query("update account_tokens set expires_at = now() - interval '1 second' where id = $1", [id]),
  )
