import { z } from 'zod'
import { currency, filledSchema } from '../../kernel/entity/fields.ts'
import { localeSchema, timezoneSchema } from '../../kernel/entity/places.ts'
import { sentBack } from '../../kernel/entity/sent-back.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { type Limits, limitsOf, limitsSchema, type Plans } from './plans.ts'

/** A tenant as its row holds it. */
export interface TenantRow {
  readonly id: string
  readonly name: string
  readonly timezone: string
  readonly locale: string
  readonly currency: string
  readonly plan: string
  /** What the platform set for it alone, whatever the plan says. */
  readonly limits: Partial<Limits>
  readonly flags: Readonly<Record<string, boolean>>
  readonly settings: Partial<Settings>
  readonly suspendedAt: string | null
  readonly suspensionReason: string | null
  readonly createdAt: string
  readonly updatedAt: string
  readonly version: number
}

/** How much a tenant has of what plans limit and count. */
export interface Usage {
  readonly contacts: number
  readonly users: number
  readonly storageBytes: number
}

/** A tenant with what it uses. */
export interface TenantWithUsage {
  readonly row: TenantRow
  readonly usage: Usage
}

/** Rules that a tenant gives itself. */
export interface Settings {
  /** The day from which everybody needs a second factor; null: nobody does. */
  readonly requireTwoFactorFrom: string | null
}

const defaults: Settings = { requireTwoFactorFrom: null }

/** What a tenant may be called. */
export const tenantName = filledSchema(100)

const settingsSchema = z.strictObject({
  requireTwoFactorFrom: z.iso
    .date()
    .nullable()
    .meta({ description: 'The day (UTC) from which everybody signs in with a second factor; null: nobody must' }),
})

const usageSchema = z.object({ contacts: z.int(), users: z.int(), storageBytes: z.int() })

const shape = {
  id: z.uuid(),
  name: z.string(),
  timezone: z.string(),
  locale: z.string(),
  currency: z.string(),
  plan: z.string(),
  limits: limitsSchema.meta({ description: 'What the plan allows; null: as much as one likes' }),
  usage: usageSchema.meta({ description: 'What of it is used now' }),
  featureFlags: z.record(z.string(), z.boolean()),
  settings: settingsSchema,
  createdAt: z.iso.datetime({ precision: 3 }),
  updatedAt: z.iso.datetime({ precision: 3 }),
  version: z.int(),
}

/** A tenant as its own people see it. */
export const tenantSchema = z.object(shape).meta({ id: 'TenantSettings' }).register(sight, apart)

/** What the people of a tenant change of it. What the platform says of it may be sent back as it is. */
export const tenantPatchSchema = z.strictObject({
  ...sentBack(tenantSchema, ['name', 'timezone', 'locale', 'currency', 'settings', 'usage']),
  name: tenantName.optional(),
  timezone: timezoneSchema.optional(),
  locale: localeSchema.optional(),
  currency: currency().schema.optional(),
  settings: settingsSchema.partial().optional(),
  // It moves while somebody looks: who sends it back cannot know what it is.
  usage: z.unknown().optional(),
})

/** A tenant as platform operators see it. */
export const governedTenantSchema = z
  .object({
    ...shape,
    suspended: z.boolean(),
    suspendedAt: z.iso.datetime({ precision: 3 }).nullable(),
    suspensionReason: z.string().nullable(),
    ownLimits: limitsSchema
      .partial()
      .meta({ description: 'What is set for this tenant alone, whatever its plan says' }),
  })
  .meta({ id: 'GovernedTenant' })

/** A tenant as the API shows it to its people. */
export function shownTenant(plans: Plans, row: TenantRow, usage: Usage): Record<string, unknown> {
  const { id, name, timezone, locale, currency, plan, createdAt, updatedAt, version } = row
  return {
    ...{ id, name, timezone, locale, currency, plan },
    limits: limitsOf(plans, row),
    usage,
    featureFlags: row.flags,
    settings: { ...defaults, ...row.settings },
    ...{ createdAt, updatedAt, version },
  }
}

/** A tenant as the API shows it to platform operators. */
export const governedTenant = (plans: Plans, row: TenantRow, usage: Usage): Record<string, unknown> => ({
  ...shownTenant(plans, row, usage),
  suspended: row.suspendedAt !== null,
  suspendedAt: row.suspendedAt,
  suspensionReason: row.suspensionReason,
  ownLimits: row.limits,
})
