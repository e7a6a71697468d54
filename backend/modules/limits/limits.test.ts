import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { createClient, eventually } from '../../test/client.ts'

let house: TestApp
let began = 0

beforeAll(async () => {
  house = await startTestApp({ environment: { RATE_LIMITS: 'on', TRUST_PROXY: '1', DEFAULT_PLAN: 'business' } })
})
beforeEach(() => {
  // The clock stands ten seconds into a minute of its own, so that no test meets the end of one.
  began = Math.max(began + 60_000, Math.floor(Date.now() / 60_000) * 60_000 + 10_000)
  vi.useFakeTimers({ toFake: ['Date'], now: began })
})
afterEach(() => {
  vi.useRealTimers()
})
afterAll(() => house.stop())

const from = (address: string) => ({ 'x-forwarded-for': address })
const minute = () => Math.floor(began / 60_000)

describe('an address that signs in', () => {
  test('is told what is left, and 429 when nothing is; others go on', async () => {
    const first = await house.nobody.get('/auth/oidc', from('192.0.2.1'))
    expect(first.headers.get('ratelimit-policy')).toBe('"address";q=300;w=60')
    expect(first.headers.get('ratelimit')).toBe('"address";r=299;t=50')
    await othersCalled('a 192.0.2.1', 299)
    const { status, body, headers } = await refused(() => house.nobody.get('/auth/oidc', from('192.0.2.1')))
    expect([status, body.code, headers.get('retry-after')]).toEqual([429, 'RATE_LIMITED', '50'])
    expect(headers.get('ratelimit')).toBe('"address";r=0;t=50')
    const login = await house.nobody.post('/auth/login', { email: 'a@b.example', password: 'x' }, from('192.0.2.1'))
    expect(login.status).toBe(429)
    const guess = { token: 'guessed', password: 'correct horse battery' }
    expect((await house.nobody.post('/invitations/accept', guess, from('192.0.2.1'))).status).toBe(429)
    expect((await house.nobody.get('/auth/oidc', from('192.0.2.2'))).status).toBe(200)
  })

  test('begins anew with the next minute', async () => {
    await house.nobody.get('/auth/oidc', from('192.0.2.3'))
    await othersCalled('a 192.0.2.3', 300)
    await refused(() => house.nobody.get('/auth/oidc', from('192.0.2.3')))
    vi.setSystemTime(began + 50_001)
    expect((await house.nobody.get('/auth/oidc', from('192.0.2.3'))).status).toBe(200)
  })

  test('counts at all processes together', async () => {
    const other = await house.another({
      environment: { RATE_LIMITS: 'on', TRUST_PROXY: '1', DEFAULT_PLAN: 'business' },
    })
    const there = await createClient(other.url)
    for (let calls = 0; calls < 150; calls++) {
      expect((await house.nobody.get('/auth/oidc', from('192.0.2.4'))).status).toBe(200)
      expect((await there.get('/auth/oidc', from('192.0.2.4'))).status).toBe(200)
    }
    await refused(() => house.nobody.get('/auth/oidc', from('192.0.2.4')))
    await refused(() => there.get('/auth/oidc', from('192.0.2.4')))
  })
})

describe('who is signed in', () => {
  test('is limited by himself and by the plan of his tenant', async () => {
    const { headers } = await house.bob.get('/contacts')
    expect(headers.get('ratelimit-policy')).toMatch(/^"user";q=\d+;w=60, "plan";q=\d+;w=60$/)
    expect(headers.get('ratelimit')).toMatch(/^"user";r=\d+;t=50, "plan";r=\d+;t=50$/)
    const [, user = '', plan = ''] = /q=(\d+).*q=(\d+)/.exec(headers.get('ratelimit-policy') ?? '') ?? []
    await othersCalled(`u ${house.bob.tenantId} ${house.bob.userId}`, Number(user))
    const bobs = await refused(() => house.bob.get('/contacts'))
    expect(bobs.body.detail).toMatch(/^You call too often/)
    expect((await house.alice.get('/contacts')).status).toBe(200)
    const spent = async () =>
      / "plan";r=(\d+)/.exec((await house.alice.get('/contacts')).headers.get('ratelimit') ?? '')?.[1]
    const before = Number(await spent())
    for (let calls = 0; calls < 5; calls++) expect((await house.bob.get('/contacts')).status).toBe(429)
    expect(Number(await spent())).toBe(before - 1)
    await othersCalled(`t ${house.alice.tenantId}`, Number(plan))
    const alices = await refused(() => house.alice.get('/contacts'))
    expect(alices.body.detail).toMatch(/^Your tenant calls more often than its plan allows/)
    expect((await house.charlie.get('/contacts')).status).toBe(200)
    expect((await house.nobody.get('//health/live')).headers.get('ratelimit')).toBeNull()
  })

  test('is served while the store of counts is gone, and counted with the others when it is back', async () => {
    await asOwner(house.ownerUrl, (owner) => owner.query('alter table rate_counts rename to gone'))
    await eventually(async () => {
      expect((await house.charlie.get('/contacts')).status).toBe(200)
      return (await state()) === 'degraded'
    }, 'the news that each counts alone')
    await asOwner(house.ownerUrl, (owner) => owner.query('alter table gone rename to rate_counts'))
    await eventually(async () => {
      expect((await house.charlie.get('/contacts')).status).toBe(200)
      return (await state()) === 'up'
    }, 'the return')
    await othersCalled(`u ${house.charlie.tenantId} ${house.charlie.userId}`, 6_000)
    await refused(() => house.charlie.get('/contacts'))
  })
})

/** Another process has counted so many calls. */
const othersCalled = (key: string, count: number): Promise<unknown> =>
  asOwner(house.ownerUrl, (owner) =>
    owner.query(
      `insert into rate_counts (minute, key, count) values ($1, $2, $3)
       on conflict (minute, key) do update set count = rate_counts.count + excluded.count`,
      [minute(), key, count],
    ),
  )

const refused = (call: () => ReturnType<typeof house.nobody.get>) =>
  eventually(async () => {
    const answer = await call()
    return answer.status === 429 && answer
  }, 'the refusal')

async function state(): Promise<string> {
  const { body } = await house.nobody.get('//health')
  return body.dependencies.rateLimits.status
}
