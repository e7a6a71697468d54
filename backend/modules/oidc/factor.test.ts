import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { App } from '../../app.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, createClient } from '../../test/client.ts'
import { createBrowser, type OpenIdHouse, openIdAudience, openIdClient, startOpenIdHouse } from '../../test/openid.ts'
import { createTokens } from '../auth/tokens.ts'
import { invitationToken } from '../invitations/token.ts'

let house: TestApp
let provider: OpenIdHouse
/** Takes the word of its issuer for nothing but what `amr` says. */
let app: App
/** Leaves the second factor to its issuer. */
let trusting: App
let peter: Client
const page = 'http://localhost:5173/signed-in'

beforeAll(async () => {
  house = await startTestApp()
  provider = await startOpenIdHouse()
  peter = await house.found('Initech', 'Peter')
  const issuer = {
    ...{ id: 'corp', issuer: provider.issuer, ...openIdClient, page, audience: openIdAudience },
    ...{ tenant: peter.tenantId, jit: true, domains: ['corp.example'] },
  }
  const withIssuer = (more: object) =>
    house.another({ environment: { OIDC_ISSUERS: JSON.stringify([{ ...issuer, ...more }]) } })
  ;[app, trusting] = await Promise.all([withIssuer({}), withIssuer({ secondFactor: true })])
  await provider.open([app, trusting].map(({ url }) => `${url}/api/v1/auth/oidc/corp/callback`))
  await askForFactor(peter)
})
afterAll(async () => {
  await house.stop()
  await provider.stop()
})

const wanting = [403, 'TWO_FACTOR_ENROLMENT_REQUIRED']
const ways: [string, unknown, unknown[]][] = [
  ['a password', ['pwd'], wanting],
  ['nothing', undefined, wanting],
  ['two of a kind', ['otp', 'swk', 'sms'], wanting],
  ['what is no list', 'mfa', wanting],
  ['what nobody knows', ['wia', 7, 'constructor'], wanting],
  ['several factors', ['mfa'], [200, undefined]],
  ['a password and a code', ['pwd', 'otp'], [200, undefined]],
  ['a key and a finger', ['hwk', 'fpt'], [200, undefined]],
]

describe.each(ways)('who showed his issuer %s', (_what, amr, expected) => {
  test('by a sign-in', async () => expect(await told(await signIn(app, person(amr)))).toEqual(expected))
  test('by a bearer token', async () => expect(await told(await bearer(app, person(amr)))).toEqual(expected))
})

describe('an issuer that sees to the second factor itself', () => {
  test('is believed for sign-ins and for bearer tokens', async () => {
    expect(await told(await signIn(trusting, person(['pwd'])))).toEqual([200, undefined])
    expect(await told(await bearer(trusting, person(undefined)))).toEqual([200, undefined])
  })

  test('is believed in its own tenant only', async () => {
    const grace = await signIn(trusting, person(['mfa']))
    const { id } = (await house.alice.post('/invitations', { email: grace.email, name: 'Grace' })).body
    const token = invitationToken(createTokens(house.config.jwtSecret).mark, id, 1)
    await askForFactor(house.alice)
    const accepted = await grace.post('/invitations/accept', { token })
    const switched = await grace.post('/auth/switch-tenant', { tenantId: house.alice.tenantId })
    for (const { status, body } of [accepted, switched]) {
      expect([status, body.tenant.id]).toEqual([200, house.alice.tenantId])
      expect(await told(await createClient(trusting.url, body))).toEqual(wanting)
    }
    expect(await told(grace)).toEqual([200, undefined])
  })
})

let people = 0

const askForFactor = ({ tenantId }: Client) =>
  asOwner(house.ownerUrl, (owner) =>
    owner.query(`update tenants set settings = '{"requireTwoFactorFrom": "2026-01-01"}' where id = $1`, [tenantId]),
  )

/** Somebody new, whom the provider says this of. */
function person(amr: unknown): string {
  const name = `person${++people}`
  provider.people.set(name, { name, email: `${name}@corp.example`, email_verified: true, amr })
  return name
}

async function signIn({ url }: App, name: string): Promise<Client> {
  const end = await createBrowser().follow(`${url}/api/v1/auth/oidc/corp/start`, (next) => next.startsWith(page), name)
  const nobody = await createClient(url)
  const { body } = await nobody.post('/auth/oidc/exchange', { code: new URL(end).searchParams.get('code') })
  return createClient(url, body)
}

async function bearer({ url }: App, name: string): Promise<Client> {
  const now = Math.floor(Date.now() / 1000)
  const accessToken = await provider.sign({ iat: now, exp: now + 300, sub: name, ...provider.people.get(name) })
  return createClient(url, { user: { id: '', email: '' }, tenant: null, accessToken, refreshToken: '' })
}

async function told(who: Client): Promise<unknown[]> {
  const { status, body } = await who.get('/contacts')
  return [status, body.code]
}
