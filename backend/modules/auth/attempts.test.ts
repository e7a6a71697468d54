import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from '../../test/answer.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password, platformAdmin } from '../../test/cast.ts'
import { type Client, createClient } from '../../test/client.ts'
import { waitAfter } from './attempts.ts'

let house: TestApp
let nobody: Client

beforeAll(async () => {
  house = await startTestApp({ environment: { TRUST_PROXY: '1' } })
  nobody = house.nobody
})
afterAll(() => house.stop())

let addresses = 0
/** An address that nobody has come from. */
const somewhere = () => `198.51.100.${++addresses}`

const signIn = (email: string, word: string, from: string, through = nobody): Promise<Answer> =>
  through.post('/auth/login', { email, password: word }, { 'X-Forwarded-For': from })

/** Somebody who has signed in from an address once. */
async function newcomer(home = somewhere()) {
  const email = `peter.${randomUUID()}@example.com`
  const person = { organization: 'Initech', name: 'Peter', email, password }
  const made = await nobody.post('/auth/register', person, { 'X-Forwarded-For': home })
  return { email, home, client: await createClient(house.url, made.body) }
}

/** Lets so many wrong tries have been, of an email or of anything. */
const failed = (count: number, from: string, email?: string) =>
  asOwner(house.ownerUrl, (owner) =>
    owner.query(
      `insert into sign_in_attempts (subject, address)
       select sha256(convert_to(coalesce('password ' || $3, n::text), 'UTF8')), $2 from generate_series(1, $1) n`,
      [count, from, email ?? null],
    ),
  )

/** Milliseconds that something took. */
async function took<T>(work: Promise<T>): Promise<[number, T]> {
  const started = performance.now()
  const done = await work
  return [performance.now() - started, done]
}

test('the wait grows up to a minute', () => {
  expect([0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 50].map(waitAfter)).toEqual([0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
})

describe('after five wrong passwords from one address', () => {
  test('each further try from there waits, also the right one, and whose email it is does not matter', async () => {
    const { email } = await newcomer()
    for (const who of [email, `nobody.${randomUUID()}@example.com`]) {
      const from = somewhere()
      for (let wrong = 1; wrong <= 5; wrong++) expect((await signIn(who, 'wrong', from)).status).toBe(401)
      const [milliseconds, sixth] = await took(signIn(who, 'wrong', from))
      expect([sixth.status, sixth.body.detail]).toEqual([401, 'Email or password is wrong'])
      expect(milliseconds).toBeGreaterThan(950)
    }
    const stranger = somewhere()
    await failed(5, stranger, email)
    const [milliseconds, right] = await took(signIn(email, password, stranger))
    expect(right.status).toBe(200)
    expect(milliseconds).toBeGreaterThan(950)
    const { rows } = await asOwner(house.ownerUrl, (owner) =>
      owner.query('select 1 from sign_in_attempts where address = $1', [stranger]),
    )
    expect(rows).toEqual([])
  })

  test('tries at once are counted like one after the other, in every process', async () => {
    const other = await house.another({ environment: { TRUST_PROXY: '1' } })
    const doors = [nobody, await createClient(other.url)]
    const { email } = await newcomer()
    const from = somewhere()
    const tries = Array.from({ length: 7 }, (_, n) => signIn(email, 'wrong', from, doors[n % 2]))
    const [milliseconds, answers] = await took(Promise.all(tries))
    expect(answers.map(({ status }) => status)).toEqual(Array(7).fill(401))
    expect(milliseconds).toBeGreaterThan(1_950)
  })

  test('another email from there, and this one from elsewhere, is answered as ever', async () => {
    const [one, two] = [await newcomer(), await newcomer()]
    const from = somewhere()
    await failed(12, from, one.email)
    // Sixty seconds would be longer than the test.
    expect((await signIn(two.email, password, from)).status).toBe(200)
    expect((await signIn(one.email, password, somewhere())).status).toBe(200)
  })

  test('the right one passes without waiting from where its account has been', async () => {
    const { email, home } = await newcomer()
    await failed(12, home, email)
    expect((await signIn(email, password, home)).status).toBe(200)
  })

  test('counts for a quarter of an hour', async () => {
    const { email } = await newcomer()
    const from = somewhere()
    await failed(12, from, email)
    await asOwner(house.ownerUrl, (owner) =>
      owner.query("update sign_in_attempts set at = at - interval '15 minutes' where address = $1", [from]),
    )
    expect((await signIn(email, password, from)).status).toBe(200)
  })
})

describe('after fifty wrong passwords from one address', () => {
  test('nobody is let in from there but who has been there, and is told when to come again', async () => {
    const { email, home } = await newcomer()
    const stranger = await newcomer()
    await failed(50, home)
    for (const [who, word] of [
      [stranger.email, password],
      [email, 'wrong'],
      [`nobody.${randomUUID()}@example.com`, 'wrong'],
    ] as const) {
      const { status, body, headers } = await signIn(who, word, home)
      expect([who, status, body.code]).toEqual([who, 429, 'RATE_LIMITED'])
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(800)
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(900)
    }
    expect((await signIn(email, password, home)).status).toBe(200)
    expect((await signIn(stranger.email, password, somewhere())).status).toBe(200)
  })

  test('the platform operator is not let in either', async () => {
    const from = somewhere()
    await failed(50, from)
    expect((await signIn(platformAdmin.email, platformAdmin.password, from)).status).toBe(429)
    expect((await signIn(platformAdmin.email, platformAdmin.password, somewhere())).status).toBe(200)
  })

  test('what a network of IPv6 tried counts together', async () => {
    await failed(50, '2001:db8:1:2::/64')
    expect((await signIn('nobody@example.com', 'wrong', '2001:db8:1:2::77')).status).toBe(429)
    expect((await signIn('nobody@example.com', 'wrong', '2001:db8:1:3::77')).status).toBe(401)
  })
})

test('who is signed in cannot try passwords without end, nor who registers again', async () => {
  const { email, client } = await newcomer()
  const from = somewhere()
  const headers = { 'X-Forwarded-For': from }
  await failed(50, from)
  const change = { currentPassword: 'wrong', newPassword: 'a newer password' }
  expect((await client.post('/auth/password/change', change, headers)).status).toBe(429)
  const person = { organization: 'Initech', name: 'Peter', email, password: 'a wrong one' }
  expect((await nobody.post('/auth/register', person, headers)).status).toBe(429)
})

test('no email that was tried can be read in the database', async () => {
  await signIn('secretive@example.com', 'wrong', somewhere())
  const { rows } = await asOwner(house.ownerUrl, (owner) =>
    owner.query("select 1 from sign_in_attempts a where a::text ilike '%secretive%'"),
  )
  expect(rows).toEqual([])
})
