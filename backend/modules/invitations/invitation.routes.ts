import sql from 'sql-template-tag'
import { z } from 'zod'
import { limitsOf, type Plans, planLimitReached } from '../../entities/tenants/plans.ts'
import { readTenant } from '../../entities/tenants/tenant.queries.ts'
import { invite, resendInvitation, revokeInvitation } from '../../entities/users/invitation.actions.ts'
import { countPending, listInvitations, readInvitations } from '../../entities/users/invitation.queries.ts'
import { type Invitation, invitationInput, invitationSchema } from '../../entities/users/invitation.ts'
import { passwordSchema } from '../../entities/users/user.routes.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import { filledSchema, idSchema } from '../../kernel/entity/fields.ts'
import { forbidden, notFound } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, publicRoute, type Route, route } from '../../kernel/http/route.ts'
import { excerpt, sight } from '../../kernel/sight.ts'
import { type AcceptDeps, acceptInvitation } from './accept.ts'

/** What inviting and accepting are built of. */
export interface InvitationOptions<SignIn> extends AcceptDeps<SignIn> {
  readonly plans: Plans
  readonly signInSchema: z.ZodType
  /** The answer of a sign-in; with `cookie` the refresh token goes there. */
  signedIn(signIn: SignIn, cookie: boolean | undefined): Answer
}

const tag = 'invitations'
const atOnce = 100

/** Inviting people, and accepting. */
export function invitationRoutes<SignIn>(options: InvitationOptions<SignIn>): Route[] {
  const { db, plans } = options
  const params = z.object({ id: idSchema })
  // What is said of who is invited is what his user will be.
  const schema = invitationSchema
    .partial({ email: true, role: true, roleId: true, teamId: true })
    .meta(invitationSchema.meta() ?? {})
    .register(sight, excerpt('user'))
  const one = { description: 'The invitation', schema: schema }
  return [
    route({
      method: 'post',
      path: '/invitations',
      operationId: 'createInvitation',
      summary: 'Invite somebody, or several at once',
      description: 'A list is invited as a whole or not at all. The link goes out by email and is good for seven days.',
      tag,
      body: z.union([invitationInput, z.array(invitationInput).min(1).max(atOnce)]),
      responses: {
        201: {
          description: 'Invited; of a list a list',
          schema: z.union([schema, z.object({ data: z.array(schema) })]),
        },
      },
      problems: [409],
      handle: async (ctx, { body }) => {
        refuseUnlessAdmin(ctx)
        const many = Array.isArray(body)
        const invited = await db.transaction(ctx, async (tx) => {
          const ids: string[] = []
          for (const [index, each] of [body].flat().entries())
            ids.push(await invite(tx, options.users, each, many ? `${index}.email` : 'email'))
          await refuseBeyondPlan(tx, plans)
          return readInvitations(tx, ids)
        })
        return { status: 201, body: many ? { data: invited } : first(invited) }
      },
    }),
    route({
      method: 'get',
      path: '/invitations',
      operationId: 'listInvitations',
      summary: 'Who is invited, the latest first',
      tag,
      query: z.strictObject({
        status: schema.shape.status.optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      responses: { 200: { description: 'A page of invitations', schema: pageOf(schema) } },
      handle: async (ctx, { query: { status, limit = 50, cursor } }) => {
        refuseUnlessAdmin(ctx)
        const list = JSON.stringify([ctx.tenantId, 'invitations', status])
        const rows = await listInvitations(db.tenant(ctx), status, readPlace(cursor, list, timePlace), limit + 1)
        return { status: 200, body: paged(rows, limit, list, ({ createdAt, id }) => [createdAt, id]) }
      },
    }),
    route({
      method: 'post',
      path: '/invitations/{id}/resend',
      operationId: 'resendInvitation',
      summary: 'Send an invitation again; the link that was sent before is void',
      tag,
      params,
      responses: { 200: one },
      problems: [422],
      handle: async (ctx, { params: { id } }) => {
        refuseUnlessAdmin(ctx)
        const invited = await db.transaction(ctx, async (tx) => {
          await resendInvitation(tx, id)
          await refuseBeyondPlan(tx, plans)
          return readInvitations(tx, [id])
        })
        return { status: 200, body: first(invited) }
      },
    }),
    route({
      method: 'delete',
      path: '/invitations/{id}',
      operationId: 'deleteInvitation',
      summary: 'Take an invitation back',
      tag,
      params,
      responses: { 204: { description: 'Its link is void', schema: null } },
      problems: [422],
      handle: async (ctx, { params: { id } }) => {
        refuseUnlessAdmin(ctx)
        await db.transaction(ctx, (tx) => revokeInvitation(tx, id))
        return { status: 204 }
      },
    }),
    publicRoute({
      method: 'post',
      path: '/invitations/accept',
      operationId: 'acceptInvitation',
      summary: 'Become a member by the link of an invitation, and sign in',
      description:
        'Who has no account chooses a name and a password. Who has one sends its password (and `totp` where a second factor is due), or is signed in. An account whose address nobody has proved gets the password that is sent; what was set before is void.',
      tag,
      idempotency: 'none',
      body: z.strictObject({
        token: z.string().max(500),
        name: filledSchema(100).optional(),
        password: passwordSchema.optional(),
        totp: z.string().max(64).optional(),
        cookie: z.boolean().optional(),
      }),
      responses: { 200: { description: 'Signed in', schema: options.signInSchema } },
      problems: [401, 403, 409],
      handle: async (caller, { body: { cookie, ...accepting } }) =>
        options.signedIn(await acceptInvitation(options, caller, accepting), cookie),
    }),
  ]
}

function refuseUnlessAdmin({ rights }: Ctx): void {
  if (rights.scope('user', 'create') === 'none') throw forbidden('Your role may not invite members')
}

/** Who is invited takes a place. Two who invite at once take turns; members who are added meanwhile are counted at the accept. */
async function refuseBeyondPlan(tx: Tx, plans: Plans): Promise<void> {
  await tx.query(
    sql`select pg_advisory_xact_lock(hashtextextended(${`clientforge.invitations ${tx.ctx.tenantId}`}, 0))`,
  )
  const { row, usage } = await readTenant(tx)
  const { users: allowed } = limitsOf(plans, row)
  if (allowed === null) return
  const taken = usage.users + (await countPending(tx))
  if (taken > allowed) throw planLimitReached('users', usage.users, allowed)
}

function first(invited: readonly Invitation[]): Invitation {
  const [invitation] = invited
  if (!invitation) throw notFound()
  return invitation
}
