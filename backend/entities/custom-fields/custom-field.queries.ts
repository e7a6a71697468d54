import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { CustomField, CustomFields } from '../../kernel/entity/custom.ts'

/** The definitions of a tenant, read once and kept until the log says that they changed. */
export function createCustomFields(db: Database): CustomFields {
  const byTenant = new LRUCache<string, Promise<readonly Definition[]>>({ max: 10_000 })
  const read = async (ctx: Ctx, resource: string): Promise<readonly Definition[]> => {
    const known = byTenant.get(ctx.tenantId)
    const loading = known ?? load(db, ctx)
    if (!known) {
      byTenant.set(ctx.tenantId, loading)
      loading.catch(() => byTenant.delete(ctx.tenantId))
    }
    return (await loading).filter((definition) => definition.resource === resource)
  }
  return {
    of: async (ctx, resource, keys = []) => {
      const known = await read(ctx, resource)
      if (keys.every((key) => known.some((definition) => definition.key === key))) return known
      // Another process may have made it a moment ago.
      byTenant.delete(ctx.tenantId)
      return read(ctx, resource)
    },
    forget: (tenantId) => void byTenant.delete(tenantId),
  }
}

interface Definition extends CustomField {
  readonly resource: string
}

const load = (db: Database, ctx: Ctx): Promise<Definition[]> =>
  db.tenant(ctx).query<Definition & Record<string, unknown>>(sql`
    select id, resource, key, field_type as type, required, is_unique as "unique", options, default_value as "default"
    from custom_fields where tenant_id = ${ctx.tenantId} and active and deleted_at is null order by position nulls last, created_at, id`)
