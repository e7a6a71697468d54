import { isDeepStrictEqual } from 'node:util'
import sql from 'sql-template-tag'
import type { z } from 'zod'
import type { Tx } from '../../kernel/db/database.ts'
import { refuseAltered } from '../../kernel/entity/sent-back.ts'
import { forbidden, rule, stale } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { Change } from '../../kernel/events/event.ts'
import type { Plans } from './plans.ts'
import { readTenant } from './tenant.queries.ts'
import { shownTenant, type TenantRow, type TenantWithUsage, type tenantPatchSchema } from './tenant.ts'

/** Changes what a tenant says of itself; 403 for who may not set it up, 412 when it is of another version. */
export async function updateTenant(
  tx: Tx,
  plans: Plans,
  patch: z.output<typeof tenantPatchSchema>,
  expected: readonly number[] | null,
): Promise<TenantWithUsage> {
  if (tx.ctx.rights.scope('tenant', 'update') === 'none') throw forbidden('Your role may not change the settings')
  await tx.query(sql`select 1 from tenants where id = ${tx.ctx.tenantId} for no key update`)
  const before = await readTenant(tx)
  if (expected !== null && !expected.includes(before.row.version)) throw stale()
  const { row } = before
  const { name = row.name, timezone = row.timezone, locale = row.locale, currency = row.currency, ...more } = patch
  const { settings: changed, usage: _moves, ...sentBack } = more
  refuseAltered(shownTenant(plans, row, before.usage), sentBack)
  const settings = { ...row.settings, ...changed }
  if (currency !== row.currency) await refuseWithRates(tx, row.currency)
  const changes = differences(row, { name, timezone, locale, currency, settings })
  if (changes.length === 0) return before
  await tx.query(sql`
    update tenants set name = ${name}, timezone = ${timezone}, locale = ${locale}, currency = ${currency},
      settings = ${JSON.stringify(settings)}, updated_at = now(), version = version + 1
    where id = ${tx.ctx.tenantId}`)
  const after = await readTenant(tx)
  await tellOfTenant(tx, 'updated', after.row, changes)
  return after
}

/** Appends what happened to the tenant to its own log. */
export const tellOfTenant = (
  tx: Tx,
  verb: string,
  { id, name, version }: Pick<TenantRow, 'id' | 'name' | 'version'>,
  changes: readonly Change[],
  data: Readonly<Record<string, unknown>> = {},
): Promise<void> =>
  appendEvents(tx, [
    { name: `tenant.${verb}`, type: 'tenant', recordId: id, version, changes, record: { id, name, version }, data },
  ])

/** What differs, member by member; objects are compared by their members. */
export function differences(
  before: Readonly<Record<string, unknown>> | TenantRow,
  after: Readonly<Record<string, unknown>>,
): Change[] {
  const held: Readonly<Record<string, unknown>> = { ...before }
  return Object.entries(after).flatMap(([field, newValue]) => {
    const oldValue = held[field] ?? null
    return isDeepStrictEqual(oldValue, newValue) ? [] : [{ field, oldValue, newValue }]
  })
}

/** Rates are stated in the tenant's currency: under another one each would be wrong. */
async function refuseWithRates(tx: Tx, currency: string): Promise<void> {
  const [rate] = await tx.query(sql`
    select 1 from exchange_rates where tenant_id = ${tx.ctx.tenantId} and deleted_at is null limit 1`)
  if (rate)
    throw rule('EXCHANGE_RATES_EXIST', `The exchange rates are stated in ${currency}; delete them before you change it`)
}
