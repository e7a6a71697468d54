import { z } from 'zod'
import { passwordSchema } from '../../entities/users/user.routes.ts'
import { email } from '../../kernel/entity/fields.ts'
import { publicRoute, type Route, route } from '../../kernel/http/route.ts'
import type { AuthDeps } from './deps.ts'
import { resendVerification, verifyEmail } from './email.actions.ts'
import { evenly } from './evenly.ts'
import { changePassword, forgotPassword, resetPassword } from './password.actions.ts'

const tag = 'auth'
const token = z.string().max(200)
const done = { 204: { description: 'Done', schema: null } }

/** Milliseconds that the answer to a forgotten password takes at least: more than its work with a database that is well. */
const forgotten = 250

/** What the owner of an account does about his address and his password. */
export function accountRoutes(deps: AuthDeps): Route[] {
  return [
    publicRoute({
      method: 'post',
      path: '/auth/email/verify',
      operationId: 'verifyEmail',
      summary: 'Confirm an email address by the token of the mail',
      tag,
      body: z.strictObject({ token }),
      responses: done,
      handle: async (caller, { body }) => {
        await verifyEmail(deps, caller, body.token)
        return { status: 204 }
      },
    }),
    route({
      method: 'post',
      path: '/auth/email/resend',
      operationId: 'resendVerification',
      summary: 'Send the mail that confirms your email address again',
      tag,
      idempotency: 'none',
      responses: { 202: { description: 'It is sent, unless the address is confirmed already', schema: null } },
      problems: [429],
      handle: async (ctx) => {
        await deps.db.transaction(ctx, (tx) => resendVerification(tx, deps.tokens))
        return { status: 202 }
      },
    }),
    publicRoute({
      method: 'post',
      path: '/auth/password/forgot',
      operationId: 'forgotPassword',
      summary: 'Mail a link to choose a new password',
      description: 'The answer is the same whether or not the email is known.',
      tag,
      body: z.strictObject({ email: email().schema }),
      responses: { 202: { description: 'A mail is sent if the email is known', schema: null } },
      handle: async (caller, { body }) => {
        await evenly(forgotten, () => forgotPassword(deps, caller, body.email))
        return { status: 202 }
      },
    }),
    publicRoute({
      method: 'post',
      path: '/auth/password/reset',
      operationId: 'resetPassword',
      summary: 'Choose a new password by the token of the mail',
      description:
        'Every session of the account ends, in all its tenants, and its owner is told by mail. If nobody had proved the address before, second factors and passkeys are void too.',
      tag,
      body: z.strictObject({ token, password: passwordSchema }),
      responses: done,
      handle: async (caller, { body }) => {
        await resetPassword(deps, caller, body.token, body.password)
        return { status: 204 }
      },
    }),
    route({
      method: 'post',
      path: '/auth/password/change',
      operationId: 'changePassword',
      summary: 'Change your password',
      description: 'Every other session of the account ends, in all its tenants, and its owner is told by mail.',
      tag,
      idempotency: 'none',
      body: z.strictObject({ currentPassword: z.string().max(200), newPassword: passwordSchema }),
      responses: done,
      problems: [429],
      handle: async (ctx, { body }) => {
        await changePassword(deps, ctx, body.currentPassword, body.newPassword)
        return { status: 204 }
      },
    }),
  ]
}
