import { z } from 'zod'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import type { AuthDeps } from './deps.ts'
import { confirmTotp, proposeTotp, removeTotp, renewRecoveryCodes } from './two-factor.actions.ts'

const tag = 'auth'
const password = z.string().max(200)
const code = z.string().min(1).max(40)
const codes = z
  .object({ recoveryCodes: z.array(z.string()) })
  .meta({ id: 'RecoveryCodes' })
  .register(sight, apart)

/** The second factor of who is signed in: codes of an authenticator (TOTP, RFC 6238) and recovery codes. */
export function twoFactorRoutes(deps: AuthDeps): Route[] {
  return [
    route({
      method: 'post',
      path: '/auth/2fa/enable',
      operationId: 'enableTwoFactor',
      summary: 'Begin to use an authenticator as a second factor',
      description: 'It counts once a code of it has come to `/auth/2fa/verify`.',
      tag,
      idempotency: 'none',
      whilePending: true,
      body: z.strictObject({ password }),
      responses: {
        200: {
          description: 'What the authenticator is given; shown this once',
          schema: z.object({ secret: z.string(), uri: z.string() }).register(sight, apart),
        },
      },
      problems: [409, 429],
      handle: async (ctx, { body }) => ({ status: 200, body: await proposeTotp(deps, ctx, body.password) }),
    }),
    route({
      method: 'post',
      path: '/auth/2fa/verify',
      operationId: 'verifyTwoFactor',
      summary: 'Turn the second factor on by a code of it',
      tag,
      idempotency: 'none',
      whilePending: true,
      body: z.strictObject({ code }),
      responses: {
        200: { description: 'It is on. Ten recovery codes, each good once, shown this once', schema: codes },
      },
      problems: [409, 429],
      handle: async (ctx, { body }) => ({
        status: 200,
        body: { recoveryCodes: await confirmTotp(deps, ctx, body.code) },
      }),
    }),
    route({
      method: 'post',
      path: '/auth/2fa/disable',
      operationId: 'disableTwoFactor',
      summary: 'Turn the second factor off',
      tag,
      idempotency: 'none',
      body: z.strictObject({ password, code }),
      responses: { 204: { description: 'It is off', schema: null } },
      problems: [409, 429],
      handle: async (ctx, { body }) => {
        await removeTotp(deps, ctx, body.password, body.code)
        return { status: 204 }
      },
    }),
    route({
      method: 'post',
      path: '/auth/2fa/recovery-codes',
      operationId: 'renewRecoveryCodes',
      summary: 'Get new recovery codes; the older ones are void',
      tag,
      idempotency: 'none',
      body: z.strictObject({ password, code }),
      responses: { 200: { description: 'Ten codes, each good once, shown this once', schema: codes } },
      problems: [409, 429],
      handle: async (ctx, { body }) => ({
        status: 200,
        body: { recoveryCodes: await renewRecoveryCodes(deps, ctx, body.password, body.code) },
      }),
    }),
  ]
}
