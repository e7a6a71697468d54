import type { Plans } from '../../entities/tenants/plans.ts'
import { updateTenant } from '../../entities/tenants/tenant.actions.ts'
import { readTenant } from '../../entities/tenants/tenant.queries.ts'
import { shownTenant, type TenantWithUsage, tenantPatchSchema, tenantSchema } from '../../entities/tenants/tenant.ts'
import type { Database } from '../../kernel/db/database.ts'
import { etagOf, readIfMatch } from '../../kernel/http/etag.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'

const tag = 'tenant'

/** The own tenant: its settings, its plan with limits and usage. */
export function tenantRoutes(db: Database, plans: Plans): Route[] {
  const response = { description: 'The tenant', schema: tenantSchema, headers: ['ETag'] }
  const answer = ({ row, usage }: TenantWithUsage): Answer => ({
    status: 200,
    body: shownTenant(plans, row, usage),
    headers: { ETag: etagOf(row.version) },
  })
  return [
    route({
      method: 'get',
      path: '/tenant',
      operationId: 'getTenant',
      summary: 'Your tenant: settings, plan, limits and what is used of them',
      tag,
      responses: { 200: response },
      // Never 304: what is used moves without a new version.
      handle: async (ctx) => answer(await readTenant(db.tenant(ctx))),
    }),
    route({
      method: 'patch',
      path: '/tenant',
      operationId: 'updateTenant',
      summary: 'Change the settings of your tenant',
      description: 'Plan, limits and feature flags are the platform’s: they may be sent back as they are.',
      tag,
      body: tenantPatchSchema,
      responses: { 200: response },
      problems: [412, 422],
      handle: async (ctx, { body, header }) =>
        answer(await db.transaction(ctx, (tx) => updateTenant(tx, plans, body, readIfMatch(header('If-Match'))))),
    }),
  ]
}
