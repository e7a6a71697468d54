import sql from 'sql-template-tag'
import type { Plans } from '../../entities/tenants/plans.ts'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { Module } from '../../kernel/module.ts'
import { type AdminOptions, adminRoutes } from './admin.routes.ts'
import { tenantRoutes } from './tenant.routes.ts'

/** Tenants: their settings for their own people, and all of them for platform operators. */
export function tenantsModule(options: AdminOptions): Module {
  const { db, plans, defaultPlan } = options
  if (!(defaultPlan in plans)) throw new Error(`DEFAULT_PLAN: there is no plan ${defaultPlan}; PLANS can add it`)
  return {
    name: 'tenants',
    routes: [...tenantRoutes(db, plans), ...adminRoutes(options)],
    start: () => keepPlans(db.worker, plans),
  }
}

/** Tells the database the numbers that its triggers hold tenants to. A plan that is no longer configured limits nothing. */
async function keepPlans(db: WorkerTx, plans: Plans): Promise<void> {
  const wanted = JSON.stringify(Object.entries(plans).map(([name, limits]) => ({ name, limits })))
  await db.query(sql`
    with wanted as (select * from jsonb_to_recordset(${wanted}::jsonb) as w(name text, limits jsonb)),
      gone as (delete from plans p where not exists (select from wanted w where w.name = p.name))
    insert into plans (name, limits) select w.name, w.limits from wanted w
    on conflict (name) do update set limits = excluded.limits where plans.limits <> excluded.limits`)
}
