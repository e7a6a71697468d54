import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Client, createClient, eventually } from '../../test/client.ts'
import { filedMail, mailedToken } from '../../test/mailbox.ts'

let house: TestApp
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
})
afterAll(() => house.stop())

const newcomer = () => ({ name: 'Grace Hopper', email: `grace.${randomUUID()}@example.com`, password })
const signIn = (email: string, word = password) => house.nobody.post('/auth/login', { email, password: word })

describe('a member who is added', () => {
  test('with a password signs in at once', async () => {
    const person = { ...newcomer(), role: 'manager', timezone: 'America/New_York', locale: 'en-US' }
    const made = await alice.post('/users', person)
    expect([made.status, made.headers.get('location')]).toEqual([201, `/api/v1/users/${made.body.id}`])
    expect(made.headers.get('etag')).toBe('"1"')
    const { password: _password, ...shown } = person
    expect(made.body).toMatchObject({ ...shown, active: true, createdById: alice.userId })
    const { status, body } = await signIn(person.email)
    expect([status, body.user.id, body.tenant.id]).toEqual([200, made.body.id, alice.tenantId])
  })

  test('is a member unless a role is said, and nobody’s email twice', async () => {
    const person = newcomer()
    expect((await alice.post('/users', person)).body.role).toBe('member')
    const again = await alice.post('/users', { ...person, email: person.email.toUpperCase() })
    expect([again.status, again.body.code]).toEqual([409, 'DUPLICATE'])
    expect(again.body.errors[0].path).toBe('email')
  })

  test('who has an account elsewhere is invited, whichever password is sent, and keeps his own', async () => {
    const dora = await house.found('Doras', 'Dora')
    const added = []
    for (const [who, word] of [
      [alice, 'guessed it'],
      [house.charlie, password],
    ] as const)
      added.push({ who, made: await who.post('/users', { name: 'Dora', email: dora.email, password: word }) })
    for (const { who, made } of added) {
      expect([made.status, made.body.email, made.body.active]).toEqual([201, dora.email, true])
      const { data } = (await who.get('/invitations?status=pending')).body
      expect(data).toContainEqual(expect.objectContaining({ email: dora.email, userId: made.body.id }))
    }
    expect((await filedMail(house.config.storageDir, dora.email, /invitation to Acme/)).text).toContain('Alice')
    expect((await dora.get('/auth/me')).body.tenants).toHaveLength(1)
    expect((await signIn(dora.email, 'guessed it')).status).toBe(401)
    expect((await signIn(dora.email)).body.tenant.id).toBe(dora.tenantId)
    const again = await alice.post('/users', { name: 'Dora', email: dora.email, password })
    expect([again.status, again.body.code, again.body.errors[0].path]).toEqual([409, 'DUPLICATE', 'email'])
  })

  test('is made once under a key, and none of him when something is wrong', async () => {
    const person = newcomer()
    const key = { 'Idempotency-Key': randomUUID() }
    const [first, second] = [await alice.post('/users', person, key), await alice.post('/users', person, key)]
    expect([first.status, second.status, second.body.id]).toEqual([201, 201, first.body.id])
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    const lost = { ...newcomer(), teamId: randomUUID() }
    expect((await alice.post('/users', lost)).body.errors[0].path).toBe('teamId')
    expect((await signIn(lost.email)).status).toBe(401)
    expect((await alice.post('/users', { ...lost, teamId: null, password: 'another one' })).status).toBe(201)
  })

  test('needs a name, an email, a good password and a known role', async () => {
    const wrong: Record<string, unknown> = {
      name: ' ',
      email: 'grace',
      password: 'short',
      role: 'king',
      timezone: 'Mars',
      locale: '?',
      active: 'yes',
      teamId: 'x',
    }
    for (const [member, value] of Object.entries(wrong)) {
      const { status, body } = await alice.post('/users', { ...newcomer(), [member]: value })
      expect([status, body.errors?.[0].path]).toEqual([400, member])
    }
  })
})

describe('the list of members', () => {
  test('is filtered and sorted, and read by everybody', async () => {
    const vera = await house.join('Vera', 'viewer')
    const names = async (query: string) => {
      const { status, body } = await vera.get(`/users?${query}`)
      expect([query, status]).toEqual([query, 200])
      return body.data.map(({ name }: { name: string }) => name)
    }
    expect(await names('role=owner')).toEqual(['Alice'])
    expect(await names('role[in]=owner,viewer&sort=name')).toEqual(['Alice', 'Vera'])
    expect(await names('sort=-name&limit=1')).toEqual(['Vera'])
    expect(await names(`email=${encodeURIComponent(bob.email)}`)).toEqual(['Bob'])
    expect(await names('name[startsWith]=ver')).toEqual(['Vera'])
    expect(await names('active=false')).toEqual([])
    expect(await names('active=true&role=viewer')).toEqual(['Vera'])
  })
})

describe('a role', () => {
  test('counts from the next request on, in every process', async () => {
    const other = await house.another()
    const mia = await house.join('Mia', 'viewer')
    const there = await createClient(other.url, {
      user: { id: mia.userId, email: '' },
      tenant: { id: mia.tenantId },
      accessToken: mia.token,
      refreshToken: '',
    })
    for (const door of [mia, there]) expect((await door.post('/notes', { body: 'Hello' })).status).toBe(403)
    expect((await alice.patch(`/users/${mia.userId}`, { role: 'member' })).status).toBe(200)
    expect((await mia.post('/notes', { body: 'Hello' })).status).toBe(201)
    await eventually(
      async () => (await there.post('/notes', { body: 'Hello' })).status === 201,
      'the role in the other process',
    )
    expect((await mia.get('/auth/me')).body.role).toBe('member')
  })

  test('of an owner is made and unmade by owners only', async () => {
    const adam = await house.join('Adam', 'admin')
    const otto = await house.join('Otto', 'owner')
    expect((await adam.post('/users', { ...newcomer(), role: 'owner' })).status).toBe(403)
    expect((await adam.patch(`/users/${bob.userId}`, { role: 'owner' })).status).toBe(403)
    expect((await adam.patch(`/users/${adam.userId}`, { role: 'owner' })).status).toBe(403)
    expect((await adam.patch(`/users/${otto.userId}`, { role: 'member' })).status).toBe(403)
    expect((await adam.patch(`/users/${otto.userId}`, { active: false })).status).toBe(403)
    expect((await adam.delete(`/users/${otto.userId}`)).status).toBe(403)
    expect((await adam.patch(`/users/${bob.userId}`, { role: 'manager' })).status).toBe(200)
    expect((await alice.patch(`/users/${otto.userId}`, { role: 'admin' })).status).toBe(200)
    expect((await adam.delete(`/users/${otto.userId}`)).status).toBe(204)
    expect((await alice.patch(`/users/${bob.userId}`, { role: 'member' })).status).toBe(200)
  })

  test('of the last owner stays', async () => {
    const at = `/users/${house.charlie.userId}`
    for (const change of [{ role: 'admin' }, { active: false }]) {
      const { status, body } = await house.charlie.patch(at, change)
      expect([status, body.code]).toEqual([422, 'LAST_OWNER'])
    }
    expect((await house.charlie.delete(at)).body.code).toBe('OWN_ACCOUNT')
    expect((await house.charlie.get('/auth/me')).body.role).toBe('owner')
  })

  test('cannot be laid down by two last owners at once', async () => {
    const first = await house.found('Twins', 'Castor')
    const made = await first.post('/users', { ...newcomer(), role: 'owner' })
    const second = await createClient(house.url, (await signIn(made.body.email)).body)
    const laidDown = (who: Client) => who.patch(`/users/${who.userId}`, { role: 'member' })
    for (let round = 0; round < 8; round++) {
      const answers = await Promise.all([laidDown(first), laidDown(second)])
      expect(answers.map(({ status, body }) => [status, body.code]).toSorted()).toEqual([
        [200, undefined],
        [422, 'LAST_OWNER'],
      ])
      const [owner, former] = answers[0].status === 200 ? [second, first] : [first, second]
      expect((await owner.patch(`/users/${former.userId}`, { role: 'owner' })).status).toBe(200)
    }
  })

  test('below admin manages nobody', async () => {
    const nora = await house.join('Nora', 'member')
    for (const role of ['manager', 'member', 'viewer']) {
      const mel = await house.join('Mel', role)
      expect((await mel.post('/users', newcomer())).status).toBe(403)
      expect((await mel.patch(`/users/${nora.userId}`, { name: 'Nobody' })).status).toBe(403)
      expect((await mel.patch(`/users/${mel.userId}`, { role: 'owner' })).status).toBe(403)
      expect((await mel.delete(`/users/${nora.userId}`)).status).toBe(403)
    }
  })
})

describe('who leaves', () => {
  test('is signed out at once when he is made inactive, and comes back when he is active again', async () => {
    const leo = await house.join('Leo', 'member')
    const deal = await leo.build('deal')
    expect((await alice.patch(`/users/${leo.userId}`, { active: false })).status).toBe(200)
    expect((await leo.get('/auth/me')).status).toBe(401)
    expect((await house.nobody.post('/auth/refresh', { refreshToken: leo.refreshToken })).status).toBe(401)
    expect((await signIn(leo.email)).status).toBe(401)
    const refused = await alice.post('/deals', { name: 'New', ownerId: leo.userId })
    expect([refused.status, refused.body.errors[0].path]).toEqual([400, 'ownerId'])
    expect((await alice.patch(`/deals/${deal.id}`, { ownerId: leo.userId, value: 5 })).status).toBe(200)
    await alice.patch(`/users/${leo.userId}`, { active: true })
    expect((await leo.get('/auth/me')).status).toBe(401)
    expect((await signIn(leo.email)).status).toBe(200)
  })

  test('keeps his name on what was his when he is deleted', async () => {
    const eve = await house.join('Eve', 'member')
    const deal = await eve.build('deal')
    expect((await alice.delete(`/users/${eve.userId}`)).status).toBe(204)
    expect((await eve.get('/auth/me')).status).toBe(401)
    expect((await signIn(eve.email)).status).toBe(401)
    expect((await alice.get(`/users/${eve.userId}`)).status).toBe(404)
    expect((await alice.get('/users?limit=200')).body.data.map(({ id }: { id: string }) => id)).not.toContain(
      eve.userId,
    )
    const { body } = await alice.get(`/deals/${deal.id}?include=owner,createdBy`)
    expect(body).toMatchObject({ ownerId: eve.userId, owner: { name: 'Eve' }, createdBy: { name: 'Eve' } })
    expect((await alice.get(`/deals?ownerId=${eve.userId}`)).body.data).toHaveLength(1)
    const again = await alice.post('/users', { name: 'Eve', email: eve.email })
    const token = await mailedToken(house.config.storageDir, eve.email, /invitation/)
    expect((await house.nobody.post('/invitations/accept', { token, password })).status).toBe(200)
    expect((await signIn(eve.email)).body.user.id).toBe(again.body.id)
  })

  test('cannot be himself', async () => {
    const otto = await house.join('Otto', 'owner')
    expect((await otto.patch(`/users/${otto.userId}`, { active: false })).body.code).toBe('OWN_ACCOUNT')
    expect((await otto.delete(`/users/${otto.userId}`)).body.code).toBe('OWN_ACCOUNT')
    expect((await otto.get('/auth/me')).status).toBe(200)
  })

  test('must be the one that was read', async () => {
    const mo = await house.join('Mo', 'member')
    const at = `/users/${mo.userId}`
    const { headers } = await alice.get(at)
    await alice.patch(at, { name: 'Maurice' })
    const stale = { 'If-Match': headers.get('etag') ?? '' }
    expect((await alice.patch(at, { active: false }, stale)).status).toBe(412)
    expect((await alice.delete(at, undefined, stale)).status).toBe(412)
    expect((await mo.get('/auth/me')).body.user).toMatchObject({ name: 'Maurice', active: true, version: 2 })
    expect((await alice.patch(at, { email: 'other@example.com' })).status).toBe(400)
  })
})
