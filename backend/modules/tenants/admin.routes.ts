import { z } from 'zod'
import { limitsSchema, type Plans } from '../../entities/tenants/plans.ts'
import { findTenant, listTenants } from '../../entities/tenants/tenant.queries.ts'
import {
  governedTenant,
  governedTenantSchema,
  type TenantWithUsage,
  tenantName,
} from '../../entities/tenants/tenant.ts'
import type { Database } from '../../kernel/db/database.ts'
import { email, filledSchema, idSchema, textSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { notFound } from '../../kernel/errors.ts'
import { etagOf, readIfMatch } from '../../kernel/http/etag.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace, timePlace } from '../../kernel/http/page.ts'
import { type Answer, operatorRoute, type Route } from '../../kernel/http/route.ts'
import { foundTenant, governTenant, standIn } from './govern.actions.ts'

/** What governing tenants is built of. */
export interface AdminOptions {
  readonly db: Database
  readonly plans: Plans
  /** The plan of a new tenant. */
  readonly defaultPlan: string
  readonly users: Repository
  /** The access token of a session, and the seconds that it is good for. */
  accessToken(session: { userId: string; tenantId: string; role: string; sessionId: string }): string
  readonly accessSeconds: number
}

const tag = 'platform'

/** All tenants, for whoever runs the installation. */
export function adminRoutes({ db, plans, defaultPlan, users, accessToken, accessSeconds }: AdminOptions): Route[] {
  const params = z.object({ id: idSchema })
  const response = { description: 'The tenant', schema: governedTenantSchema, headers: ['ETag'] }
  const shown = ({ row, usage }: TenantWithUsage) => governedTenant(plans, row, usage)
  const answer = async (id: string): Promise<Answer> => {
    const found = await findTenant(db.worker, id)
    if (!found) throw notFound()
    return { status: 200, body: shown(found), headers: { ETag: etagOf(found.row.version) } }
  }
  const planSchema = z.string().refine((name) => name in plans, {
    message: `must be one of ${Object.keys(plans).join(', ')}`,
  })
  return [
    operatorRoute({
      method: 'get',
      path: '/admin/tenants',
      operationId: 'listTenants',
      summary: 'All tenants, the latest first, with plan and usage',
      tag,
      query: z.strictObject({
        name: textSchema(100).optional().meta({ description: 'How the name begins, ignoring case' }),
        plan: z.string().optional(),
        suspended: z
          .enum(['true', 'false'])
          .transform((text) => text === 'true')
          .optional(),
        limit: limitSchema,
        cursor: cursorSchema,
      }),
      responses: { 200: { description: 'A page of tenants', schema: pageOf(governedTenantSchema) } },
      handle: async (_operator, { query: { limit = 50, cursor, ...filters } }) => {
        const list = JSON.stringify(['tenants', filters])
        const after = readPlace(cursor, list, timePlace)
        const found = await listTenants(db.worker, filters, after, limit + 1)
        const { data, page } = paged(found, limit, list, ({ row }) => [row.createdAt, row.id])
        return { status: 200, body: { data: data.map(shown), page } }
      },
    }),
    operatorRoute({
      method: 'post',
      path: '/admin/tenants',
      operationId: 'createTenant',
      summary: 'Make a tenant, and invite its owner by email',
      tag,
      // Not in the transaction of its key, which is the worker's; a repetition would make another tenant.
      idempotency: 'none',
      body: z.strictObject({
        name: tenantName,
        plan: planSchema.default(defaultPlan),
        owner: z.strictObject({ name: tenantName, email: email().schema }),
      }),
      responses: { 201: { ...response, headers: ['ETag', 'Location'] } },
      handle: async (operator, { body }) => {
        const id = await foundTenant(db, users, operator, body)
        const made = await answer(id)
        return { ...made, status: 201, headers: { ...made.headers, Location: `/api/v1/admin/tenants/${id}` } }
      },
    }),
    operatorRoute({
      method: 'get',
      path: '/admin/tenants/{id}',
      operationId: 'getTenantOfPlatform',
      summary: 'A tenant with plan, limits, usage and features',
      tag,
      params,
      responses: { 200: response },
      handle: (_operator, { params: { id } }) => answer(id),
    }),
    operatorRoute({
      method: 'patch',
      path: '/admin/tenants/{id}',
      operationId: 'governTenant',
      summary: 'Set the plan, limits and features of a tenant, suspend or resume it',
      description:
        'Nobody of a suspended tenant gets in: every call answers `403 TENANT_SUSPENDED`, and its sockets are closed.',
      tag,
      params,
      body: z.strictObject({
        name: tenantName.optional(),
        plan: planSchema.optional(),
        ownLimits: limitsSchema.partial().optional(),
        featureFlags: z.record(z.string().regex(/^[a-z][A-Za-z0-9_.-]{0,63}$/), z.boolean()).optional(),
        suspended: z.boolean().optional(),
        reason: reasonSchema.optional(),
      }),
      responses: { 200: response },
      problems: [412],
      handle: async (operator, { params: { id }, body, header }) => {
        await governTenant(db, operator, id, body, readIfMatch(header('If-Match')))
        return answer(id)
      },
    }),
    operatorRoute({
      method: 'post',
      path: '/admin/tenants/{id}/impersonate',
      operationId: 'impersonateUser',
      summary: 'Act in the name of a user, for a quarter of an hour',
      description:
        'The tenant’s own timeline tells who, in whose name and why; all that is done with the token names the operator. It is good for nothing that is the user’s alone: passwords, factors, sessions, keys.',
      tag,
      idempotency: 'none',
      params,
      body: z.strictObject({ userId: idSchema, reason: reasonSchema }),
      responses: { 200: { description: 'An access token, and no other', schema: standInSchema } },
      handle: async (operator, { params: { id: tenantId }, body: { userId, reason } }) => {
        const session = await standIn(db, operator, tenantId, { userId, reason, seconds: accessSeconds })
        const token = accessToken({ ...session, userId, tenantId })
        return { status: 200, body: { userId, tenantId, accessToken: token, expiresIn: accessSeconds } }
      },
    }),
  ]
}

const reasonSchema = filledSchema(500)

const standInSchema = z
  .object({ userId: z.uuid(), tenantId: z.uuid(), accessToken: z.string(), expiresIn: z.int() })
  .meta({ id: 'StandIn' })
