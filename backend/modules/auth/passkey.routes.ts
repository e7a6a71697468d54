import { z } from 'zod'
import { filledSchema, idSchema } from '../../kernel/entity/fields.ts'
import { publicRoute, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { signedIn, signInSchema } from './answers.ts'
import type { AuthDeps } from './deps.ts'
import {
  dropPasskey,
  ownPasskeys,
  passkeyOptions,
  registerPasskey,
  signInByPasskey,
  signInOptions,
} from './passkey.actions.ts'

const tag = 'auth'
const base64url = z.string().max(20_000)
const time = z.iso.datetime({ precision: 3 })

/** What browsers make of a credential (WebAuthn section 5.1): its members are theirs, and may grow. */
const credential = { id: base64url, rawId: base64url, type: z.literal('public-key') }
const registration = z.looseObject({
  ...credential,
  clientExtensionResults: z.looseObject({}),
  response: z.looseObject({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: z.array(z.string().max(20)).max(10).exactOptional(),
  }),
})
const authentication = z.looseObject({
  ...credential,
  clientExtensionResults: z.looseObject({}),
  response: z.looseObject({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: base64url.exactOptional(),
  }),
})

const options = z.looseObject({ challenge: z.string() }).register(sight, apart)

const passkeySchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    backedUp: z.boolean().describe('Whether it is kept in a cloud, and comes along to other devices'),
    createdAt: time,
    lastUsedAt: time.nullable(),
  })
  .meta({ id: 'Passkey' })
  .register(sight, apart)

/** Passkeys (WebAuthn): a sign-in without a password that counts as both factors. */
export function passkeyRoutes(deps: AuthDeps & { readonly secureCookies: boolean }): Route[] {
  return [
    route({
      method: 'post',
      path: '/auth/passkeys/options',
      operationId: 'passkeyOptions',
      summary: 'Begin to add a passkey: what `navigator.credentials.create` is given',
      tag,
      idempotency: 'none',
      whilePending: true,
      body: z.strictObject({ password: z.string().max(200) }),
      responses: { 200: { description: 'Options, good once within five minutes', schema: options } },
      problems: [429],
      handle: async (ctx, { body }) => ({ status: 200, body: await passkeyOptions(deps, ctx, body.password) }),
    }),
    route({
      method: 'post',
      path: '/auth/passkeys',
      operationId: 'registerPasskey',
      summary: 'Add the passkey that the browser made',
      tag,
      idempotency: 'none',
      whilePending: true,
      body: z.strictObject({
        name: filledSchema(100),
        response: registration,
      }),
      responses: {
        201: { description: 'Added', schema: z.object({ id: z.uuid(), name: z.string() }).register(sight, apart) },
      },
      problems: [409],
      handle: async (ctx, { body }) => ({
        status: 201,
        body: await registerPasskey(deps, ctx, body.name, body.response),
      }),
    }),
    route({
      method: 'get',
      path: '/auth/passkeys',
      operationId: 'listPasskeys',
      summary: 'Your passkeys, at most twenty',
      tag,
      responses: { 200: { description: 'Passkeys', schema: z.object({ data: z.array(passkeySchema) }) } },
      handle: async (ctx) => {
        const data = (await ownPasskeys(deps, ctx)).map(({ id, name, backedUp, createdAt, lastUsedAt }) => ({
          id,
          name,
          backedUp,
          createdAt,
          lastUsedAt,
        }))
        return { status: 200, body: { data } }
      },
    }),
    route({
      method: 'delete',
      path: '/auth/passkeys/{id}',
      operationId: 'deletePasskey',
      summary: 'Remove a passkey',
      description:
        'The sessions in which it was shown end, in all tenants of the account; the one that removes it stays, with one factor less. Who has no password signs in with a second factor at most ten minutes before.',
      tag,
      params: z.object({ id: idSchema }),
      body: z.strictObject({ password: z.string().max(200).optional() }),
      responses: { 204: { description: 'Removed', schema: null } },
      problems: [429],
      handle: async (ctx, { params, body }) => {
        await dropPasskey(deps, ctx, params.id, body.password)
        return { status: 204 }
      },
    }),
    publicRoute({
      method: 'post',
      path: '/auth/passkeys/login/options',
      operationId: 'passkeySignInOptions',
      summary: 'Begin to sign in with a passkey: what `navigator.credentials.get` is given',
      tag,
      responses: { 200: { description: 'Options, good once within five minutes', schema: options } },
      handle: async () => ({ status: 200, body: await signInOptions(deps) }),
    }),
    publicRoute({
      method: 'post',
      path: '/auth/passkeys/login',
      operationId: 'signInByPasskey',
      summary: 'Sign in with a passkey',
      tag,
      body: z.strictObject({ response: authentication, cookie: z.boolean().optional() }),
      responses: { 200: { description: 'Signed in', schema: signInSchema } },
      problems: [401],
      handle: async (caller, { body }) =>
        signedIn(200, await signInByPasskey(deps, caller, body.response), body.cookie, deps),
    }),
  ]
}
