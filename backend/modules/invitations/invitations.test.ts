import { randomUUID } from 'node:crypto'
import { generate } from 'otplib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { type Mailbox, startMailbox } from '../../test/mailbox.ts'
import { importTable } from '../../test/tables.ts'
import { createTokens } from '../auth/tokens.ts'
import { invitationToken } from './token.ts'

let mailbox: Mailbox
let house: TestApp
let alice: Client

beforeAll(async () => {
  mailbox = await startMailbox()
  const PUBLIC_URL = 'https://crm.example.com/'
  house = await startTestApp({ environment: { SMTP_URL: mailbox.url, EMAIL_FROM: 'crm@example.com', PUBLIC_URL } })
  alice = house.alice
})
afterAll(async () => {
  await house?.stop()
  await mailbox?.stop()
})

const someone = () => `grace.${randomUUID()}@example.com`
const tokenOf = (id: string, generation = 1) =>
  invitationToken(createTokens(house.config.jwtSecret).mark, id, generation)
const accept = (token: string, more: object = { name: 'Grace', password }, headers = {}) =>
  house.nobody.post('/invitations/accept', { token, ...more }, headers)
const invited = async (more: object = {}) => {
  const { status, body } = await alice.post('/invitations', { email: someone(), ...more })
  expect(status).toBe(201)
  return body
}

/** Gives somebody an authenticator, and one of the codes that stand in for it. */
async function enrol(who: Client): Promise<string> {
  const { secret } = (await who.post('/auth/2fa/enable', { password })).body
  const { body } = await who.post('/auth/2fa/verify', { code: await generate({ secret }) })
  return body.recoveryCodes[0]
}

describe('an invitation', () => {
  test('makes a member with its role, name and team, who is signed in by it', async () => {
    const team = await alice.build('team', { name: randomUUID() })
    const asked = await invited({ role: 'manager', name: 'Grace Hopper', teamId: team.id })
    expect(asked).toMatchObject({ status: 'pending', role: 'manager', createdById: alice.userId, userId: null })
    expect(Date.parse(asked.expiresAt) - Date.parse(asked.createdAt)).toBe(7 * 24 * 3_600_000)
    const { status, body } = await accept(tokenOf(asked.id), { password })
    expect([status, body.tenant.id]).toEqual([200, alice.tenantId])
    expect(body.user).toMatchObject({ name: 'Grace Hopper', role: 'manager', teamId: team.id, email: asked.email })
    const grace = await createClient(house.url, body)
    expect((await grace.get('/contacts')).status).toBe(200)
    expect((await house.nobody.post('/auth/login', { email: asked.email, password })).status).toBe(200)
    const { data } = (await alice.get('/invitations?status=accepted')).body
    expect(data).toContainEqual(expect.objectContaining({ id: asked.id, userId: body.user.id, status: 'accepted' }))
  })

  test('makes a member with the own role that it gives, and none when that is gone', async () => {
    const { id: roleId } = await alice.build('role', { name: randomUUID() })
    const [first, second] = [await invited({ roleId, name: 'Grace' }), await invited({ roleId, name: 'Grace' })]
    expect((await accept(tokenOf(first.id), { password })).body.user).toMatchObject({ role: 'member', roleId })
    await asOwner(house.ownerUrl, (owner) => owner.query('update roles set deleted_at = now() where id = $1', [roleId]))
    expect((await accept(tokenOf(second.id), { password })).status).toBe(400)
  })

  test('is good once, also for two at once', async () => {
    const { id } = await invited()
    const answers = await Promise.all([accept(tokenOf(id)), accept(tokenOf(id)), accept(tokenOf(id))])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const again = await accept(tokenOf(id))
    expect([again.status, again.body.errors[0].path]).toEqual([400, 'token'])
  })

  test('is void when it has expired, was taken back or sent again, and its new link is good', async () => {
    const [late, back, again] = [await invited(), await invited(), await invited()]
    await asOwner(house.ownerUrl, (owner) =>
      owner.query(`update invitations set expires_at = now() - interval '1 second' where id = $1`, [late.id]),
    )
    expect((await alice.get('/invitations?status=expired')).body.data).toMatchObject([{ id: late.id }])
    expect((await alice.delete(`/invitations/${back.id}`)).status).toBe(204)
    const sent = await alice.post(`/invitations/${again.id}/resend`)
    expect(sent.body).toMatchObject({ id: again.id, status: 'pending' })
    for (const { id } of [late, back, again]) expect((await accept(tokenOf(id))).body.errors[0].path).toBe('token')
    expect((await accept(tokenOf(again.id, 2))).status).toBe(200)
    expect((await alice.post(`/invitations/${late.id}/resend`)).body.status).toBe('pending')
    expect((await accept(tokenOf(late.id, 2))).status).toBe(200)
    for (const { id } of [back, again]) {
      const refused = await alice.post(`/invitations/${id}/resend`)
      expect([refused.status, refused.body.code]).toEqual([422, 'INVITATION_ENDED'])
    }
  })

  test('is not accepted with a made-up token', async () => {
    const { id } = await invited()
    const token = tokenOf(id)
    const foreign = invitationToken(createTokens('another secret').mark, id, 1)
    for (const wrong of [
      '',
      'x',
      `${token}x`,
      foreign,
      tokenOf(id, 2),
      tokenOf(randomUUID()),
      token.replace('.1.', '.2.'),
    ])
      expect([wrong, (await accept(wrong)).status]).toEqual([wrong, 400])
    expect((await accept(token, { name: 'Grace' })).body.errors[0].path).toBe('password')
    expect((await accept(token, { password })).body.errors[0].path).toBe('name')
    expect((await accept(token, { name: 'Grace', password: 'short' })).body.errors[0].path).toBe('password')
    expect((await accept(token)).status).toBe(200)
  })

  test('carries no token in answers, log and timeline', async () => {
    const { id } = await invited()
    const seen = await asOwner(house.ownerUrl, async (owner) => {
      await eventually(
        async () => ((await owner.query('select 1 from activities where entity_id = $1', [id])).rowCount ?? 0) > 0,
        'the invitation in the timeline',
      )
      const { rows } = await owner.query(
        `select to_json(e)::text as text from events e where record_id = $1 union all
         select to_json(a)::text from activities a where entity_id = $1 union all
         select to_json(i)::text from invitations i where id = $1`,
        [id],
      )
      return rows.map(({ text }) => text).join()
    })
    const [, , signature = 'none'] = tokenOf(id).split('.')
    expect(seen).toContain(id)
    expect(seen).not.toContain(signature)
  })
})

describe('the mail of an invitation', () => {
  const linkIn = (text = '') => /https:\/\/crm\.example\.com\/accept-invitation\?token=([\w.-]+)/.exec(text)?.[1] ?? ''

  test('carries the link, and says who invites where', async () => {
    const asked = await invited({ name: 'Grace <b>Hopper</b>' })
    const mail = await mailbox.newest(asked.email, /Your invitation to Acme/)
    expect(mail.to).toMatchObject([{ address: asked.email, name: 'Grace <b>Hopper</b>' }])
    expect(mail.text).toContain('Alice invites you')
    expect(mail.html).not.toContain('<b>')
    expect(linkIn(mail.text)).toBe(tokenOf(asked.id))
    const { status, body } = await accept(linkIn(mail.text), { password })
    expect(status).toBe(200)
    // Who reads the mail has the address.
    const grace = await createClient(house.url, body)
    expect((await grace.get('/auth/me')).body.emailVerifiedAt).toEqual(expect.any(String))
  })

  test('comes again with another link, and to who is added without a password', async () => {
    const asked = await invited()
    const first = await mailbox.newest(asked.email, /invitation/)
    await alice.post(`/invitations/${asked.id}/resend`)
    const second = await eventually(
      async () => mailbox.received(asked.email).find(({ text }) => linkIn(text) !== linkIn(first.text)),
      'the second mail',
    )
    expect((await accept(linkIn(first.text))).status).toBe(400)
    expect((await accept(linkIn(second.text))).status).toBe(200)
    const email = someone()
    await alice.post('/users', { name: 'Ada', email })
    expect((await mailbox.newest(email, /invitation/)).text).toContain('Hello Ada')
  })
})

describe('several invitations', () => {
  test('go out together or not at all', async () => {
    const [first, second] = [someone(), someone()]
    const { status, body } = await alice.post('/invitations', [{ email: first }, { email: second, role: 'viewer' }])
    expect([status, body.data.map(({ role }: { role: string }) => role)]).toEqual([201, ['member', 'viewer']])
    const third = someone()
    const taken = await alice.post('/invitations', [{ email: third }, { email: first.toUpperCase() }])
    expect([taken.status, taken.body.errors[0].path]).toEqual([409, '1.email'])
    expect((await alice.post('/invitations', { email: third })).status).toBe(201)
    const member = await alice.post('/invitations', { email: house.bob.email })
    expect([member.status, member.body.code]).toEqual([409, 'DUPLICATE'])
    expect((await alice.post('/invitations', [])).status).toBe(400)
    const wrong = await alice.post('/invitations', [{ email: someone() }, { email: 'nobody', role: 'king' }])
    expect(wrong.body.errors.map(({ path }: { path: string }) => path)).toEqual(['1.email', '1.role'])
    const walked: string[] = []
    let cursor: string | null = null
    do {
      const page: { data: { id: string }[]; page: { nextCursor: string | null } } = (
        await alice.get(`/invitations?limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      ).body
      walked.push(...page.data.map(({ id }) => id))
      cursor = page.page.nextCursor
    } while (cursor)
    expect(new Set(walked).size).toBe(walked.length)
    expect(walked).toContain(body.data[0].id)
  })

  test('do not flood anybody: an address is mailed five times a day', async () => {
    const email = someone()
    const { id } = (await alice.post('/invitations', { email })).body
    for (let times = 2; times <= 4; times++) expect((await alice.post(`/invitations/${id}/resend`)).status).toBe(200)
    await alice.delete(`/invitations/${id}`)
    expect((await alice.post('/invitations', { email: email.toUpperCase() })).status).toBe(201)
    const { data } = (await alice.get('/invitations?status=pending&limit=1')).body
    const late = await alice.post(`/invitations/${data[0].id}/resend`)
    expect([late.status, late.body.code]).toEqual([422, 'TOO_MANY_INVITATIONS'])
    expect((await alice.post('/invitations', { email: someone() })).status).toBe(201)
  })

  test('are made by administrators, of owners by owners', async () => {
    const adam = await house.join('Adam', 'admin')
    expect((await house.bob.post('/invitations', { email: someone() })).status).toBe(403)
    expect((await house.bob.get('/invitations')).status).toBe(403)
    expect((await adam.post('/invitations', { email: someone(), role: 'owner' })).status).toBe(403)
    expect((await adam.post('/invitations', { email: someone(), role: 'admin' })).status).toBe(201)
    const { id } = await invited()
    expect((await house.charlie.post(`/invitations/${id}/resend`)).status).toBe(404)
    expect((await house.charlie.delete(`/invitations/${id}`)).status).toBe(404)
    expect((await house.nobody.post('/invitations', { email: someone() })).status).toBe(401)
    const wrong = { email: 'grace', role: 'king', teamId: randomUUID(), name: ' ', colour: 'red' }
    for (const [member, value] of Object.entries(wrong))
      expect((await alice.post('/invitations', { email: someone(), [member]: value })).status).toBe(400)
  })
})

describe('who has an account already', () => {
  /** Somebody of another tenant, who has proved her address. */
  const confirmed = async () => {
    const dora = await house.found('Doras', 'Dora')
    const { text = '' } = await mailbox.newest(dora.email, /Confirm/)
    const [, token] = /token=([\w.-]+)/.exec(text) ?? []
    expect((await house.nobody.post('/auth/email/verify', { token })).status).toBe(204)
    return dora
  }

  test('accepts with its password, and with no other', async () => {
    const dora = await confirmed()
    const { id } = await invited({ email: dora.email, role: 'viewer' })
    expect((await accept(tokenOf(id), {})).body.errors[0].path).toBe('password')
    expect((await accept(tokenOf(id), { password: 'guessed it' })).status).toBe(401)
    const { status, body } = await accept(tokenOf(id), { password, name: 'Dora at Acme' })
    expect([status, body.tenant.id, body.user.name]).toEqual([200, alice.tenantId, 'Dora at Acme'])
    expect((await dora.get('/auth/me')).body.tenants).toHaveLength(2)
  })

  test('shows its second factor too', async () => {
    const dora = await confirmed()
    const totp = await enrol(dora)
    const { id } = await invited({ email: dora.email, name: 'Dora' })
    const refused = await accept(tokenOf(id), { password })
    expect([refused.status, refused.body.code]).toEqual([401, 'TWO_FACTOR_REQUIRED'])
    expect((await accept(tokenOf(id), { password, totp: '000000' })).status).toBe(401)
    expect((await accept(tokenOf(id), { password, totp })).status).toBe(200)
  })

  test('accepts by being signed in, and nobody else does for him', async () => {
    const dora = await house.found('Doras', 'Dora')
    const { id } = await invited({ email: dora.email, name: 'Dora' })
    const as = (who: Client) => ({ authorization: `Bearer ${who.token}` })
    expect((await accept(tokenOf(id), {}, as(house.charlie))).body.errors[0].path).toBe('password')
    expect((await accept(tokenOf(id), {}, { authorization: 'Bearer x' })).status).toBe(401)
    expect((await accept(tokenOf(id), {}, as(dora))).status).toBe(200)
  })
})

describe('who finds an account of his address that nobody has proved', () => {
  test('chooses its password, and whoever made it is outside', async () => {
    const mallory = await house.found('Mallory', 'Mallory')
    const code = await enrol(mallory)
    const { id } = await invited({ email: mallory.email, name: 'Bob' })
    expect((await accept(tokenOf(id), {})).body.errors[0].path).toBe('password')
    const { status, body } = await accept(tokenOf(id), { password: 'of Bob himself' })
    expect([status, body.tenant.id, body.user.name]).toEqual([200, alice.tenantId, 'Bob'])
    expect((await mallory.get('/auth/me')).status).toBe(401)
    const signIn = (word: string, totp?: string) =>
      house.nobody.post('/auth/login', { email: mallory.email, password: word, ...(totp ? { totp } : {}) })
    expect((await signIn(password, code)).status).toBe(401)
    expect((await signIn('of Bob himself')).body.user.id).toBe(body.user.id)
    const bob = await createClient(house.url, body)
    expect((await bob.get('/auth/me')).body).toMatchObject({ twoFactor: { totp: false }, user: { name: 'Bob' } })
  })

  test('keeps what he set when he is signed in to it', async () => {
    const dora = await house.found('Doras', 'Dora')
    await enrol(dora)
    const { id } = await invited({ email: dora.email, name: 'Dora' })
    expect((await dora.post('/invitations/accept', { token: tokenOf(id) })).status).toBe(200)
    const { twoFactor, emailVerifiedAt } = (await dora.get('/auth/me')).body
    expect([twoFactor.totp, emailVerifiedAt]).toEqual([true, expect.any(String)])
  })
})

describe('a member without an account', () => {
  test('is made without a password, is invited, and becomes the same member', async () => {
    const email = someone()
    const made = await alice.post('/users', { name: 'Grace', email, role: 'viewer' })
    expect([made.status, made.body.active]).toEqual([201, true])
    const deal = await alice.build('deal', { ownerId: made.body.id })
    const { data } = (await alice.get('/invitations?status=pending')).body
    const asked = data.find(({ userId }: { userId: string }) => userId === made.body.id)
    expect(asked).toMatchObject({ email, role: 'viewer', name: 'Grace' })
    expect((await house.nobody.post('/auth/login', { email, password })).status).toBe(401)
    const { status, body } = await accept(tokenOf(asked.id), { password })
    expect([status, body.user.id, body.user.role]).toEqual([200, made.body.id, 'viewer'])
    expect((await alice.get(`/deals/${deal.id}`)).body.ownerId).toBe(body.user.id)
    expect((await house.nobody.post('/auth/login', { email, password })).body.user.id).toBe(made.body.id)
  })

  test('who came with a table is invited like anybody', async () => {
    const email = someone()
    await importTable(alice, `name,email,role\nGrace,${email},manager\n`, { resource: 'users' })
    const asked = await invited({ email })
    const { body } = await accept(tokenOf(asked.id), { password })
    expect(body.user).toMatchObject({ id: asked.userId, role: 'manager', name: 'Grace', email })
  })

  test('who has no email either is given one by the invitation', async () => {
    await importTable(alice, 'name,role\nGrace Nomail,viewer\n', { resource: 'users' })
    const [member] = (await alice.get('/users?name[startsWith]=Grace Nomail')).body.data
    const email = someone()
    const asked = await invited({ userId: member.id, email })
    expect(asked).toMatchObject({ userId: member.id, role: 'viewer', name: 'Grace Nomail' })
    expect((await accept(tokenOf(asked.id), { password })).body.user).toMatchObject({ id: member.id, email })
    const wrong = [house.bob.userId, house.charlie.userId, randomUUID()]
    for (const userId of wrong) {
      const { body } = await alice.post('/invitations', { userId, email: someone() })
      expect(body.errors[0].path).toBe('userId')
    }
  })

  test('who left meanwhile stays outside', async () => {
    const made = await alice.post('/users', { name: 'Grace', email: someone() })
    const { data } = (await alice.get('/invitations?status=pending')).body
    const asked = data.find(({ userId }: { userId: string }) => userId === made.body.id)
    await alice.delete(`/users/${made.body.id}`)
    expect((await accept(tokenOf(asked.id), { password })).body.errors[0].path).toBe('token')
  })
})

describe('the plan', () => {
  test('counts who is invited, and is asked again at the accept', async () => {
    const olga = await house.operator()
    const tess = await house.found('Tiny', 'Tess')
    await olga.patch(`/admin/tenants/${tess.tenantId}`, { ownLimits: { users: 3 } })
    const asked = await Promise.all(
      Array.from({ length: 5 }, () => tess.post('/invitations', { email: someone(), name: 'Grace' })),
    )
    expect(asked.map(({ status }) => status).toSorted()).toEqual([201, 201, 403, 403, 403])
    expect(asked.find(({ status }) => status === 403)?.body).toMatchObject({ code: 'PLAN_LIMIT_REACHED', allowed: 3 })
    await olga.patch(`/admin/tenants/${tess.tenantId}`, { ownLimits: { users: 2 } })
    const open = asked.filter(({ status }) => status === 201).map(({ body }) => tokenOf(body.id))
    const accepted = await Promise.all(open.map((token) => accept(token)))
    expect(accepted.map(({ status }) => status).toSorted()).toEqual([200, 403])
  })

  test('of a suspended tenant takes nobody in', async () => {
    const olga = await house.operator()
    const tess = await house.found('Stopped', 'Tess')
    const { body } = await tess.post('/invitations', { email: someone() })
    await olga.patch(`/admin/tenants/${tess.tenantId}`, { suspended: true, reason: 'No payment' })
    expect((await accept(tokenOf(body.id))).body.code).toBe('TENANT_SUSPENDED')
  })
})
