import { generate } from 'otplib'
import { type Authenticator, createAuthenticator } from '../authenticator.ts'
import { password } from '../cast.ts'
import type { Client } from '../client.ts'
import { mailedToken } from '../mailbox.ts'
import { at, type Call, type Examples, type House, nothing, unique } from './call.ts'

/** Who somebody is, and how he shows it. */
export const onAccounts: Examples = {
  register: async () => ({
    body: { organization: 'Initech', name: 'Peter', email: `${unique('peter')}@example.com`, password },
  }),
  login: async ({ alice }) => ({ body: { email: alice.email, password } }),
  refresh: async ({ alice, nobody }) => {
    const { refreshToken } = (await nobody.post('/auth/login', { email: alice.email, password })).body
    return { body: { refreshToken } }
  },
  logout: async ({ join }) => ({ as: await join('Leo', 'member') }),
  me: nothing,
  updateMe: async () => ({ body: { timezone: 'Europe/Berlin' } }),
  verifyEmail: async (house) => {
    const { email } = await house.found('Initech', 'Peter')
    return { body: { token: await mailedToken(house.config.storageDir, email, /Confirm/) } }
  },
  resendVerification: nothing,
  forgotPassword: async ({ alice }) => ({ body: { email: alice.email } }),
  resetPassword: async (house) => {
    const { email } = await house.found('Initech', 'Peter')
    await house.nobody.post('/auth/password/forgot', { email })
    return {
      body: { token: await mailedToken(house.config.storageDir, email, /Choose/), password: 'a newer password' },
    }
  },
  changePassword: async ({ found }) => ({
    as: await found('Initech', 'Peter'),
    body: { currentPassword: password, newPassword: 'a newer password' },
  }),
  enableTwoFactor: async ({ found }) => ({ as: await found('Initech', 'Peter'), body: { password } }),
  verifyTwoFactor: async ({ found }) => {
    const as = await found('Initech', 'Peter')
    const { secret } = (await as.post('/auth/2fa/enable', { password })).body
    return { as, body: { code: await generate({ secret }) } }
  },
  disableTwoFactor: async ({ found }) => secured(await found('Initech', 'Peter')),
  renewRecoveryCodes: async ({ found }) => secured(await found('Initech', 'Peter')),
  passkeyOptions: async ({ found }) => ({ as: await found('Initech', 'Peter'), body: { password } }),
  registerPasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    return { as, body: await newPasskey(as, createAuthenticator(partyOf(house))) }
  },
  listPasskeys: nothing,
  deletePasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    const made = await as.post('/auth/passkeys', await newPasskey(as, createAuthenticator(partyOf(house))))
    return { as, ...at(made.body.id), body: { password } }
  },
  passkeySignInOptions: nothing,
  signInByPasskey: async (house) => {
    const as = await house.found('Initech', 'Peter')
    const key = createAuthenticator(partyOf(house))
    await as.post('/auth/passkeys', await newPasskey(as, key))
    const { body } = await house.nobody.post('/auth/passkeys/login/options')
    return { body: { response: key.get(body) } }
  },
  listSessions: nothing,
  deleteSession: async ({ alice, nobody }) => {
    await nobody.post('/auth/login', { email: alice.email, password })
    const { data } = (await alice.get('/auth/sessions')).body
    return at(data.find((session: { current: boolean }) => !session.current).id)
  },
  switchTenant: async ({ alice }) => ({ body: { tenantId: alice.tenantId } }),
  deleteOtherSessions: async ({ join, nobody }) => {
    const as = await join('Leo', 'member')
    await nobody.post('/auth/login', { email: as.email, password })
    return { as }
  },
}

/** For whom passkeys of a house are: a loopback address goes by its name. */
const partyOf = ({ url }: House): string => url.replace('127.0.0.1', 'localhost')

async function newPasskey(as: Client, key: Authenticator): Promise<object> {
  const { body } = await as.post('/auth/passkeys/options', { password })
  return { name: 'Laptop', response: key.create(body) }
}

/** Turns a second factor on, and shows it. */
async function secured(as: Client): Promise<Call> {
  const { secret } = (await as.post('/auth/2fa/enable', { password })).body
  const { recoveryCodes } = (await as.post('/auth/2fa/verify', { code: await generate({ secret }) })).body
  return { as, body: { password, code: recoveryCodes[0] } }
}
