import { z } from 'zod'
import { endOtherSessions, endSessions } from '../../entities/users/session.actions.ts'
import { lockMember } from '../../entities/users/user.actions.ts'
import type { Ctx } from '../../kernel/context.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { forbidden } from '../../kernel/errors.ts'
import { type Answer, type Caller, type Route, route } from '../../kernel/http/route.ts'
import type { SignIn } from './auth.actions.ts'
import type { AuthDeps } from './deps.ts'
import { switchTenant } from './switch.ts'

const tag = 'auth'

/** Moving between one's tenants, and signing out more than one device. */
export function switchRoutes(
  deps: AuthDeps,
  signInSchema: z.ZodType,
  signedIn: (signIn: SignIn, cookie: boolean | undefined) => Answer,
): Route[] {
  const { db } = deps
  return [
    route({
      method: 'post',
      path: '/auth/switch-tenant',
      operationId: 'switchTenant',
      summary: 'Sign in to another tenant that you belong to',
      description: '`GET /auth/me` lists them. The session that you come from stays until it is signed out.',
      tag,
      idempotency: 'none',
      body: z.strictObject({ tenantId: idSchema, cookie: z.boolean().optional() }),
      responses: { 200: { description: 'Signed in there', schema: signInSchema } },
      handle: async (ctx, { body: { tenantId, cookie }, header }) =>
        signedIn(await switchTenant(deps, ctx, callerOf(ctx, header), tenantId), cookie),
    }),
    route({
      method: 'delete',
      path: '/auth/sessions',
      operationId: 'deleteOtherSessions',
      summary: 'Sign out all other devices',
      tag,
      responses: { 204: { description: 'Only this session is left', schema: null } },
      handle: async (ctx) => {
        await db.transaction(ctx, (tx) => endOtherSessions(tx, ctx.actor.id ?? '', ctx.sessionId))
        return { status: 204 }
      },
    }),
    route({
      method: 'delete',
      path: '/users/{id}/sessions',
      operationId: 'deleteUserSessions',
      summary: 'Sign a member out everywhere',
      tag: 'users',
      params: z.object({ id: idSchema }),
      responses: { 204: { description: 'He is signed out', schema: null } },
      handle: async (ctx, { params: { id } }) => {
        if (ctx.rights.scope('user', 'update') === 'none') throw forbidden('Your role may not sign members out')
        await db.transaction(ctx, async (tx) => {
          await lockMember(tx, id)
          await endSessions(tx, id, 'signed_out')
        })
        return { status: 204 }
      },
    }),
  ]
}

const callerOf = ({ requestId, ip, userAgent }: Ctx, header: Caller['header']): Caller => ({
  requestId,
  ip,
  userAgent,
  header,
})
