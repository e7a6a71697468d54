import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { sendTable } from '../../test/tables.ts'
import { createTokens } from '../auth/tokens.ts'
import { invitationToken } from '../invitations/token.ts'

let house: TestApp
let olga: Client

beforeAll(async () => {
  house = await startTestApp()
  olga = await house.operator()
})
afterAll(() => house.stop())

/** Somebody at the door of another process of the same installation. */
const through = (url: string, who: Client) =>
  createClient(url, {
    user: { id: who.userId, email: who.email },
    tenant: { id: who.tenantId },
    accessToken: who.token,
    refreshToken: who.refreshToken,
  })

const asService = ({ clientId, clientSecret }: { clientId: string; clientSecret: string }) =>
  house.nobody.raw(
    'POST',
    '/auth/token',
    new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }),
  )

describe('platform operators', () => {
  test('see all tenants with plan and usage, page by page', async () => {
    const made = await Promise.all(['Zeta One', 'zeta two', 'Zeta Three'].map((name) => house.found(name, 'Zoe')))
    const names: string[] = []
    let cursor: string | null = null
    do {
      const { status, body } = await olga.get(`/admin/tenants?name=ZETA&limit=2${cursor ? `&cursor=${cursor}` : ''}`)
      expect(status).toBe(200)
      names.push(...body.data.map(({ name }: { name: string }) => name))
      cursor = body.page.nextCursor
    } while (cursor)
    expect(names.toSorted()).toEqual(['Zeta One', 'Zeta Three', 'zeta two'])
    const one = await olga.get(`/admin/tenants/${made[0]?.tenantId}`)
    expect(one.body).toMatchObject({ usage: { users: 1, contacts: 0 }, plan: 'unlimited', suspended: false })
    expect((await olga.get('/admin/tenants?suspended=true')).body.data).toEqual([])
    expect((await olga.get('/admin/tenants?cursor=x')).status).toBe(400)
    expect((await olga.get('/admin/tenants?colour=red')).status).toBe(400)
  })

  test('alone do', async () => {
    const paths = ['/admin/tenants', `/admin/tenants/${house.alice.tenantId}`]
    for (const path of paths) {
      expect((await house.alice.get(path)).status).toBe(403)
      expect((await house.nobody.get(path)).status).toBe(401)
    }
    expect((await house.alice.patch(`/admin/tenants/${house.alice.tenantId}`, { plan: 'free' })).status).toBe(403)
    expect((await olga.get('/tenant')).status).toBe(403)
  })

  test('make a tenant whose owner is invited', async () => {
    const email = `peter.${randomUUID()}@example.com`
    const made = await olga.post('/admin/tenants', { name: 'Initech', plan: 'team', owner: { name: 'Peter', email } })
    expect([made.status, made.headers.get('location')]).toEqual([201, `/api/v1/admin/tenants/${made.body.id}`])
    expect(made.body).toMatchObject({ name: 'Initech', plan: 'team', usage: { users: 0 } })
    const [{ id }] = await asOwner(
      house.ownerUrl,
      async (owner) => (await owner.query('select id from invitations where tenant_id = $1', [made.body.id])).rows,
    )
    const token = invitationToken(createTokens(house.config.jwtSecret).mark, id, 1)
    const accepted = await house.nobody.post('/invitations/accept', { token, password })
    expect(accepted.body).toMatchObject({ user: { name: 'Peter', role: 'owner' }, tenant: { id: made.body.id } })
    const peter = await createClient(house.url, accepted.body)
    expect((await peter.get('/pipelines')).body.data).toHaveLength(1)
    expect((await peter.build('deal')).ownerId).toBe(peter.userId)
    expect((await house.alice.post('/admin/tenants', { name: 'Mine', owner: { name: 'A', email } })).status).toBe(403)
  })

  test('set plan, limits and features, of which the tenant’s own timeline tells', async () => {
    const tess = await house.found('Tiny', 'Tess')
    const at = `/admin/tenants/${tess.tenantId}`
    const { status, body, headers } = await olga.patch(at, {
      plan: 'free',
      ownLimits: { contacts: 1 },
      featureFlags: { beta: true },
    })
    expect([status, body.version, headers.get('etag')]).toEqual([200, 2, '"2"'])
    const own = (await tess.get('/tenant')).body
    expect(own).toMatchObject({ plan: 'free', limits: { contacts: 1, users: 3 }, featureFlags: { beta: true } })
    expect(own).not.toHaveProperty('ownLimits')
    await tess.build('contact')
    expect((await tess.post('/contacts', { firstName: 'Two' })).body.code).toBe('PLAN_LIMIT_REACHED')
    await olga.patch(at, { ownLimits: {} })
    expect((await tess.post('/contacts', { firstName: 'Two' })).status).toBe(201)
    expect((await olga.patch(at, { plan: 'free' }, { 'If-Match': '"1"' })).status).toBe(412)
    expect((await olga.patch(at, { plan: 'golden' })).body.errors[0].path).toBe('plan')
    const told = await eventually(async () => {
      const { data } = (await tess.get('/timeline?entityType=tenant')).body
      return data.length >= 2 ? data : undefined
    }, 'the changes in the timeline')
    expect(told.at(-1)).toMatchObject({ action: 'updated', actor: { name: 'olga@example.com (platform operator)' } })
  })
})

describe('a suspended tenant', () => {
  test('lets nobody in, in any process, until it is resumed; others do not notice', async () => {
    const other = await house.another()
    const tess = await house.found('Stopped', 'Tess')
    const there = await through(other.url, tess)
    expect([(await tess.get('/contacts')).status, (await there.get('/contacts')).status]).toEqual([200, 200])
    const service = (await tess.post('/service-accounts', { name: 'Sync', scopes: ['contact:read'] })).body
    const at = `/admin/tenants/${tess.tenantId}`
    expect((await olga.patch(at, { suspended: true })).body.errors[0].path).toBe('reason')
    const stopped = await olga.patch(at, { suspended: true, reason: 'No payment' })
    expect(stopped.body).toMatchObject({ suspended: true, suspensionReason: 'No payment' })
    const { suspendedAt } = stopped.body
    const refused = await tess.get('/contacts')
    expect([refused.status, refused.body.code]).toEqual([403, 'TENANT_SUSPENDED'])
    await eventually(
      async () => (await there.get('/contacts')).body.code === 'TENANT_SUSPENDED',
      'the end in the other process',
    )
    const entries = [
      await house.nobody.post('/auth/login', { email: tess.email, password }),
      await house.nobody.post('/auth/refresh', { refreshToken: tess.refreshToken }),
      await asService(service),
    ]
    expect(entries.map(({ status, body }) => [status, body.code])).toEqual([
      [403, 'TENANT_SUSPENDED'],
      [403, 'TENANT_SUSPENDED'],
      [403, 'TENANT_SUSPENDED'],
    ])
    expect((await house.nobody.post('/auth/login', { email: tess.email, password: 'guessed it' })).status).toBe(401)
    expect((await house.alice.get('/contacts')).status).toBe(200)
    const again = await olga.patch(at, { suspended: true, reason: 'Still no payment' })
    expect(again.body).toMatchObject({ suspendedAt, suspensionReason: 'Still no payment' })
    expect((await olga.get('/admin/tenants?suspended=true')).body.data).toMatchObject([{ id: tess.tenantId }])
    expect((await olga.patch(at, { suspended: false })).body).toMatchObject({
      suspended: false,
      suspensionReason: null,
    })
    expect((await tess.get('/contacts')).status).toBe(200)
    const told = await eventually(async () => {
      const { data } = (await tess.get('/timeline?entityType=tenant')).body
      return data.length >= 3 ? data : undefined
    }, 'the suspension in the timeline')
    expect(told.map(({ description }: { description: string }) => description)).toContain(
      'olga@example.com (platform operator) suspended the tenant “Stopped”',
    )
  })
})

describe('an operator in a user’s name', () => {
  test('does what the user may, and everything names the operator', async () => {
    const { alice, bob } = house
    const visit = await olga.post(`/admin/tenants/${alice.tenantId}/impersonate`, {
      userId: bob.userId,
      reason: 'Ticket 4711',
    })
    expect(visit.status).toBe(200)
    expect(visit.body).not.toHaveProperty('refreshToken')
    const standIn = await createClient(house.url, {
      user: { id: bob.userId, email: bob.email },
      tenant: { id: alice.tenantId },
      accessToken: visit.body.accessToken,
      refreshToken: '',
    })
    const deal = await standIn.build('deal')
    expect(deal.ownerId).toBe(bob.userId)
    const [created] = await alice.timeline('deal', deal.id, 1)
    expect(created).toMatchObject({
      actor: { id: bob.userId, name: 'Bob (by the operator olga@example.com)' },
      metadata: { operator: { email: 'olga@example.com' } },
    })
    expect((await standIn.post('/teams', { name: 'Mine' })).status).toBe(403)
    const told = await eventually(async () => {
      const { data } = (await alice.get('/timeline?entityType=tenant&action=logged_in')).body
      return data[0]
    }, 'the visit in the timeline')
    expect(told).toMatchObject({
      actor: { name: 'olga@example.com (platform operator)' },
      metadata: { userId: bob.userId, userName: 'Bob', reason: 'Ticket 4711' },
    })
    expect((await bob.get('/auth/sessions')).body.data).toContainEqual(
      expect.objectContaining({ operator: 'olga@example.com' }),
    )
    expect((await standIn.get('/auth/me')).body.user.id).toBe(bob.userId)
    const calls = [
      await standIn.get('/auth/sessions'),
      await standIn.delete('/auth/sessions'),
      await standIn.patch('/auth/me', { name: 'Robert' }),
      await standIn.post('/auth/switch-tenant', { tenantId: alice.tenantId }),
    ]
    expect(calls.map(({ status }) => status)).toEqual([403, 403, 403, 403])
    expect((await bob.delete('/auth/sessions')).status).toBe(204)
    expect((await standIn.get('/auth/me')).status).toBe(401)
    expect((await bob.get('/auth/me')).status).toBe(200)
  })

  test('leaves nobody behind, and nobody mightier than he was', async () => {
    const { alice, bob } = house
    const visit = await olga.post(`/admin/tenants/${alice.tenantId}/impersonate`, {
      userId: alice.userId,
      reason: 'Ticket 4712',
    })
    const standIn = await createClient(house.url, { ...visit.body, user: { id: alice.userId, email: alice.email } })
    const { id: roleId } = await alice.build('role', { name: 'All of it' })
    const email = 'left-behind@example.com'
    const table = (asked: object) => sendTable(standIn, `name,owner\nDeal,${email}\n`, { ...asked })
    const calls = [
      await standIn.post('/users', { name: 'Left', email }),
      await standIn.post('/users', { name: 'Left', email: 'left-too@example.com', password }),
      await standIn.post('/invitations', { email }),
      await standIn.patch(`/users/${bob.userId}`, { role: 'admin' }),
      await standIn.patch(`/users/${bob.userId}`, { role: 'member', roleId }),
      await table({ resource: 'users' }),
      await table({ resource: 'deals', createMissing: ['user'] }),
    ]
    expect(calls.map(({ status }) => status)).toEqual(calls.map(() => 403))
    const { role } = (await alice.get(`/users/${bob.userId}`)).body
    expect((await standIn.patch(`/users/${bob.userId}`, { role, timezone: 'Europe/Vienna' })).status).toBe(200)
    expect((await table({ resource: 'deals' })).status).toBe(202)
  })

  test('needs a user who is there, a reason, and a tenant that is not suspended', async () => {
    const { alice, bob, charlie } = house
    const at = `/admin/tenants/${alice.tenantId}/impersonate`
    expect((await olga.post(at, { userId: charlie.userId, reason: 'Why' })).body.errors[0].path).toBe('userId')
    expect((await olga.post(at, { userId: bob.userId })).body.errors[0].path).toBe('reason')
    expect((await olga.post(at, { userId: bob.userId, reason: ' ' })).body.errors[0].path).toBe('reason')
    expect((await alice.post(at, { userId: bob.userId, reason: 'Why' })).status).toBe(403)
    const gone = '/admin/tenants/01920000-0000-7000-8000-000000000000/impersonate'
    expect((await olga.post(gone, { userId: bob.userId, reason: 'Why' })).status).toBe(404)
  })
})
