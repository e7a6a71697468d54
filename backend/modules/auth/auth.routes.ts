import sql, { raw } from 'sql-template-tag'
import { z } from 'zod'
import type { Email } from '../../adapters/email/email.port.ts'
import { endSession } from '../../entities/users/session.actions.ts'
import { user } from '../../entities/users/user.entity.ts'
import { passwordSchema } from '../../entities/users/user.routes.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { email, filledSchema, idSchema } from '../../kernel/entity/fields.ts'
import { localeSchema, timezoneSchema } from '../../kernel/entity/places.ts'
import { invalidMember, notFound } from '../../kernel/errors.ts'
import { readCookie } from '../../kernel/http/cookie.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { publicRoute, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { ownAccount } from './account.queries.ts'
import { accountRoutes } from './account.routes.ts'
import { cookieName, cookieOf, signedIn, signInSchema, tenantSchema } from './answers.ts'
import { login, logout, readOwnTenant, refresh, refuseRegistration, register } from './auth.actions.ts'
import type { AuthDeps } from './deps.ts'
import { passkeyRoutes } from './passkey.routes.ts'
import { readFactors } from './second-factor.ts'
import { switchRoutes } from './switch.routes.ts'
import { membershipsOf } from './switch.ts'
import { twoFactorRoutes } from './two-factor.routes.ts'

/** What the module of sign-in is built of. */
export interface AuthOptions extends AuthDeps {
  readonly registration: 'open' | 'invite' | 'off'
  readonly email: Email
  /** Whether browsers reach us by https: then the cookie is sent there only. */
  readonly secureCookies: boolean
  /** Nouns, for the list of permissions of `me`. */
  readonly types: readonly string[]
}

const name = filledSchema(100)
const tag = 'auth'

const operatorSignInSchema = z
  .object({
    user: z.object({ id: z.uuid(), email: z.string(), role: z.literal('operator') }),
    tenant: z.null(),
    accessToken: z.string(),
    refreshToken: z.string().optional(),
    expiresIn: z.int(),
  })
  .meta({
    id: 'OperatorSignIn',
    description: 'A platform operator: his token has no tenant, and is good for `/admin` only',
  })

const eitherSchema = z.union([signInSchema, operatorSignInSchema])

const meSchema = z
  .object({
    user: user.recordSchema,
    tenant: tenantSchema,
    role: z.string().register(sight, apart),
    emailVerifiedAt: z.iso.datetime({ precision: 3 }).nullable().register(sight, apart),
    twoFactor: z.object({ totp: z.boolean(), recoveryCodesLeft: z.int(), passkeys: z.int() }).register(sight, apart),
    tenants: z
      .array(
        z.object({ id: z.uuid(), name: z.string(), role: z.string(), suspended: z.boolean(), current: z.boolean() }),
      )
      .meta({ description: 'Where you can switch to' })
      .register(sight, apart),
    permissions: z
      .array(z.object({ resource: z.string(), action: z.string(), scope: z.string() }))
      .register(sight, apart),
  })
  .meta({ id: 'Me' })

const sessionSchema = z
  .object({
    id: z.uuid(),
    current: z.boolean(),
    userAgent: z.string().nullable(),
    ipAddress: z.string().nullable(),
    createdAt: z.iso.datetime({ precision: 3 }),
    lastUsedAt: z.iso.datetime({ precision: 3 }),
    expiresAt: z.iso.datetime({ precision: 3 }),
    operator: z.string().nullable().meta({ description: 'Email of the platform operator who acts in your name in it' }),
  })
  .meta({ id: 'Session' })
  .register(sight, apart)

/** Sign-in, sessions and the caller himself: section 2 of the contract, as far as it is built. */
export function authRoutes(options: AuthOptions): Route[] {
  const { db } = options
  return [
    publicRoute({
      method: 'post',
      path: '/auth/register',
      operationId: 'register',
      summary: 'Make a tenant and its owner',
      tag,
      body: z.strictObject({
        organization: name,
        name,
        email: email().schema,
        password: passwordSchema,
        totp: z.string().max(40).optional().describe('Of an email that has an account with a second factor'),
        cookie: z.boolean().optional(),
      }),
      responses: { 201: { description: 'Signed in', schema: signInSchema } },
      problems: [401, 403, 409, 429],
      handle: async (caller, { body: { cookie, ...values } }) => {
        refuseRegistration(options.registration)
        return signedIn(201, await register(options, caller, values), cookie, options)
      },
    }),
    publicRoute({
      method: 'post',
      path: '/auth/login',
      operationId: 'login',
      summary: 'Sign in with email and password',
      tag,
      body: z.strictObject({
        email: z.string().max(320),
        password: z.string().max(200),
        totp: z.string().max(40).optional().describe('A code of the authenticator, or a recovery code'),
        cookie: z.boolean().optional(),
      }),
      responses: { 200: { description: 'Signed in', schema: eitherSchema } },
      problems: [401, 403, 429],
      handle: async (caller, { body: { cookie, ...values } }) =>
        signedIn(200, await login(options, caller, clean(values)), cookie, options),
    }),
    publicRoute({
      method: 'post',
      path: '/auth/refresh',
      operationId: 'refresh',
      summary: 'Change a refresh token for the next one and an access token',
      tag,
      body: z.strictObject({ refreshToken: z.string().max(500).optional() }).optional(),
      responses: { 200: { description: 'Signed in', schema: eitherSchema } },
      problems: [401, 403],
      handle: async (caller, { body }) => {
        const sent = body?.refreshToken
        const token = sent ?? readCookie(caller.header('Cookie'), cookieName)
        if (token === undefined) throw invalidMember('refreshToken', 'is required, as no cookie holds one', 'required')
        return signedIn(200, await refresh(options, caller, token), sent === undefined, options)
      },
    }),
    route({
      method: 'post',
      path: '/auth/logout',
      operationId: 'logout',
      summary: 'End this session',
      tag,
      whilePending: true,
      idempotency: 'none',
      responses: { 204: { description: 'Ended', schema: null } },
      handle: async (ctx) => {
        await logout(db, ctx)
        return { status: 204, headers: { 'Set-Cookie': cookieOf('', 0, options) } }
      },
      handleOperator: async (operator) => {
        await options.operators.signOut(operator)
        return { status: 204, headers: { 'Set-Cookie': cookieOf('', 0, options) } }
      },
    }),
    route({
      method: 'get',
      path: '/auth/me',
      operationId: 'me',
      summary: 'The current user, tenant, role and permissions',
      tag,
      whilePending: true,
      responses: { 200: { description: 'Who I am', schema: meSchema } },
      handle: async (ctx) => ({ status: 200, body: await me(options, ctx) }),
    }),
    route({
      method: 'patch',
      path: '/auth/me',
      operationId: 'updateMe',
      summary: 'Change your own name, time zone and language',
      tag,
      body: z.strictObject({
        name: name.optional(),
        timezone: timezoneSchema.nullable().optional(),
        locale: localeSchema.nullable().optional(),
      }),
      responses: { 200: { description: 'Who I am', schema: meSchema } },
      handle: async (ctx, { body }) => {
        await options.users.update(db.tenant(asHimself(ctx)), ctx.actor.id ?? '', body)
        return { status: 200, body: await me(options, ctx) }
      },
    }),
    ...sessionRoutes(db),
    ...accountRoutes(options),
    ...twoFactorRoutes(options),
    ...passkeyRoutes(options),
    ...switchRoutes(options, signInSchema, (signIn, cookie) => signedIn(200, signIn, cookie, options)),
  ]
}

function sessionRoutes(db: Database): Route[] {
  return [
    route({
      method: 'get',
      path: '/auth/sessions',
      operationId: 'listSessions',
      summary: 'Devices on which you are signed in',
      tag,
      query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      responses: { 200: { description: 'A page of sessions', schema: pageOf(sessionSchema) } },
      handle: async (ctx, { query }) => {
        const limit = query.limit ?? 50
        const list = `sessions ${ctx.tenantId} ${ctx.actor.id}`
        const after = readPlace(query.cursor, list, idPlace)
        const rows = await db.tenant(ctx).query(sql`
          select id, id = ${ctx.sessionId} as current, user_agent as "userAgent", ip as "ipAddress", operator ->> 'email' as operator,
            ${raw(timeSql('created_at'))} as "createdAt",
            ${raw(timeSql('last_used_at'))} as "lastUsedAt",
            ${raw(timeSql('expires_at'))} as "expiresAt"
          from sessions
          where tenant_id = ${ctx.tenantId} and user_id = ${ctx.actor.id} and ended_at is null and expires_at > now()
            and (${after}::uuid is null or id < ${after}::uuid)
          order by id desc limit ${limit + 1}`)
        return { status: 200, body: paged(rows, limit, list, (last) => [last.id]) }
      },
    }),
    route({
      method: 'delete',
      path: '/auth/sessions/{id}',
      operationId: 'deleteSession',
      summary: 'Sign a device out',
      tag,
      params: z.object({ id: idSchema }),
      responses: { 204: { description: 'Signed out', schema: null } },
      handle: async (ctx, { params }) => {
        const ended = await db.transaction(ctx, (tx) => endSession(tx, ctx.actor.id ?? '', params.id, 'signed_out'))
        if (!ended) throw notFound()
        return { status: 204 }
      },
    }),
  ]
}

const idPlace = z.tuple([idSchema]).transform(([id]) => id)

/** Everybody sees who he is and changes what is his to say, whatever his role says of users. */
const asHimself = (ctx: Ctx): Ctx => ({ ...ctx, rights: { ...ctx.rights, scope: () => 'all' } })

async function me(options: AuthOptions, ctx: Ctx): Promise<unknown> {
  const { rights, actor } = ctx
  const tx = options.db.tenant(ctx)
  const [stored, tenant, account, tenants] = await Promise.all([
    options.users.get(options.db.tenant(asHimself(ctx)), actor.id ?? ''),
    readOwnTenant(tx),
    ownAccount(tx),
    membershipsOf(tx),
  ])
  const actions = ['read', 'create', 'update', 'delete'] as const
  const permissions = options.types.flatMap((resource) =>
    actions.flatMap((action) => {
      const scope = rights.scope(resource, action)
      if (scope === 'none') return []
      return [{ resource, action, scope: scope === 'all' ? 'all' : (scope.of ?? 'own') }]
    }),
  )
  const emailVerifiedAt = account.emailVerifiedAt?.toISOString() ?? null
  const twoFactor = await readFactors(tx, account.id)
  return { user: JSON.parse(stored.json), tenant, role: rights.role, emailVerifiedAt, twoFactor, tenants, permissions }
}

/** What Postgres cannot hold is no account's email. */
const clean = <T extends { email: string }>(values: T): T => ({
  ...values,
  email: values.email.trim().replaceAll('\0', ''),
})
