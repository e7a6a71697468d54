import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx, WorkerTx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { notFound } from '../../kernel/errors.ts'
import type { TenantWithUsage } from './tenant.ts'

/** The tenant of the context, with what it uses. */
export async function readTenant(tx: Tx): Promise<TenantWithUsage> {
  const [found] = await tx.query<TenantWithUsage>(sql`
    select ${printedRow} as row, ${printedUsage} as usage from tenants t where t.id = ${tx.ctx.tenantId}`)
  if (!found) throw notFound()
  return found
}

/** What a list of tenants is narrowed to. */
export interface TenantFilters {
  /** The beginning of the name, ignoring case. */
  readonly name?: string | undefined
  readonly plan?: string | undefined
  readonly suspended?: boolean | undefined
}

/** Tenants of the installation, the latest first, behind a place. */
export function listTenants(
  db: WorkerTx,
  { name, plan, suspended }: TenantFilters,
  after: { readonly createdAt: string; readonly id: string } | null,
  limit: number,
): Promise<TenantWithUsage[]> {
  const start = `${(name ?? '').toLowerCase().replace(/[\\%_]/g, '\\$&')}%`
  return db.query<TenantWithUsage>(sql`
    select ${printedRow} as row, ${printedUsage} as usage from tenants t
    where true
      ${name === undefined ? empty : sql`and lower(t.name) like ${start}`}
      ${plan === undefined ? empty : sql`and t.plan = ${plan}`}
      ${suspended === undefined ? empty : suspended ? sql`and t.suspended_at is not null` : sql`and t.suspended_at is null`}
      ${after === null ? empty : sql`and (t.created_at, t.id) < (${after.createdAt}::timestamptz, ${after.id}::uuid)`}
    order by t.created_at desc, t.id desc limit ${limit}`)
}

/** A tenant of the installation by its id. */
export async function findTenant(db: WorkerTx, id: string): Promise<TenantWithUsage | undefined> {
  const [found] = await db.query<TenantWithUsage>(sql`
    select ${printedRow} as row, ${printedUsage} as usage from tenants t where t.id = ${id}`)
  return found
}

const printedRow: Sql = raw(`
  jsonb_build_object('id', t.id, 'name', t.name, 'timezone', t.timezone, 'locale', t.locale, 'currency', t.currency,
    'plan', t.plan, 'limits', t.limits, 'flags', t.flags, 'settings', t.settings,
    'suspendedAt', ${timeSql('t.suspended_at')}, 'suspensionReason', t.suspension_reason,
    'createdAt', ${timeSql('t.created_at')}, 'updatedAt', ${timeSql('t.updated_at')}, 'version', t.version)`)

const printedUsage: Sql = sql`(
  select jsonb_build_object(
    'contacts', coalesce(sum(u.used) filter (where u.counted = 'contacts'), 0),
    'users', coalesce(sum(u.used) filter (where u.counted = 'users'), 0),
    'storageBytes', coalesce(sum(u.used) filter (where u.counted = 'storageBytes'), 0))
  from tenant_usage u where u.tenant_id = t.id)`
