import { randomBytes, randomUUID } from 'node:crypto'
import { generate } from 'otplib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSecrets } from '../../kernel/secrets.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { password } from '../../test/cast.ts'
import { type Process, startProcess } from '../../test/process.ts'
import { seedPurpose } from './codes.ts'

const [old, fresh] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ environment: { ENCRYPTION_KEY: old, ENCRYPTION_KEYS_OLD: fresh } })
})
afterAll(() => house?.stop())

const rotate = (keys: Record<string, string>): Process =>
  startProcess({ DATABASE_URL: house.ownerUrl, STORAGE_DIR: house.config.storageDir, ...keys }, [
    'scripts/rotate-key.ts',
  ])

test('a new key takes over while the server runs, and where it stopped it goes on', async () => {
  const peter = await house.found('Initech', 'Peter')
  const { secret } = (await peter.post('/auth/2fa/enable', { password })).body
  await peter.post('/auth/2fa/verify', { code: await generate({ secret }) })
  const signIn = async (steps: number) => {
    const totp = await generate({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * steps })
    return (await house.nobody.post('/auth/login', { email: peter.email, password, totp })).status
  }
  await enrolled(250)
  const lost = await enrolled(1, randomBytes(32).toString('hex'))

  const first = rotate({ ENCRYPTION_KEY: fresh, ENCRYPTION_KEYS_OLD: old })
  expect(await first.ended).toBe(1)
  expect(first.output).toContain('251 secrets are sealed anew')
  expect(first.output).toContain('1 open under no key')
  expect(first.output).not.toContain(secret)
  expect(await signIn(1)).toBe(200)

  await asOwner(house.ownerUrl, (owner) => owner.query('delete from account_totp where account_id = any($1)', [lost]))
  const again = rotate({ ENCRYPTION_KEY: fresh, ENCRYPTION_KEYS_OLD: old })
  expect(await again.ended).toBe(0)
  expect(again.output).toContain('0 secrets are sealed anew')

  const alone = createSecrets([fresh])
  const { rows } = await asOwner(house.ownerUrl, (owner) => owner.query('select account_id, seed from account_totp'))
  expect(rows.length).toBe(251)
  const seeds = rows.map(({ account_id: id, seed }) => alone.open(seed, seedPurpose(id)))
  expect(seeds).toContain(secret)
})

/** Gives accounts a sealed seed, and says which. */
async function enrolled(count: number, key = old): Promise<string[]> {
  const secrets = createSecrets([key])
  const ids = Array.from({ length: count }, () => randomUUID())
  await asOwner(house.ownerUrl, async (owner) => {
    await owner.query(
      `insert into accounts (id, email, password_hash) select id, id || '@example.com', 'x' from unnest($1::uuid[]) id`,
      [ids],
    )
    await owner.query(
      'insert into account_totp (account_id, seed, confirmed_at) select id, seed, now() from unnest($1::uuid[], $2::text[]) s(id, seed)',
      [ids, ids.map((id) => secrets.seal('JBSWY3DPEHPK3PXP', seedPurpose(id)))],
    )
  })
  return ids
}
