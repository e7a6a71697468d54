import { z } from 'zod'
import { Problem } from '../../kernel/errors.ts'

/** What a plan limits; null: as much as one likes. */
export interface Limits {
  /** Contacts that are not deleted. */
  readonly contacts: number | null
  /** Active members, and who is invited to be one. */
  readonly users: number | null
  /** Bytes of the files that are kept for the tenant. */
  readonly storageBytes: number | null
  /** Calls of all its users and keys together within a minute. */
  readonly callsPerMinute: number | null
}

/** The limits by the name of a plan. */
export type Plans = Readonly<Record<string, Limits>>

const GiB = 1024 ** 3

/** The plans of an installation that says nothing else. */
export const standardPlans: Plans = {
  free: { contacts: 1_000, users: 3, storageBytes: GiB, callsPerMinute: 300 },
  team: { contacts: 25_000, users: 25, storageBytes: 25 * GiB, callsPerMinute: 1_200 },
  business: { contacts: 250_000, users: 250, storageBytes: 250 * GiB, callsPerMinute: 6_000 },
  unlimited: { contacts: null, users: null, storageBytes: null, callsPerMinute: null },
}

const bound = z.int().min(0).nullable()

/** The limits of a plan, as the configuration and the API write them. */
export const limitsSchema = z.strictObject({
  contacts: bound,
  users: bound,
  storageBytes: bound,
  callsPerMinute: bound,
})

/** The standard plans with what the configuration says of them, and those that it adds; what one leaves out is not limited. */
export function plansWith(own: Readonly<Record<string, Partial<Limits>>>): Plans {
  const none: Limits = { contacts: null, users: null, storageBytes: null, callsPerMinute: null }
  const added = Object.entries(own).map(([name, limits]) => [name, { ...(standardPlans[name] ?? none), ...limits }])
  return { ...standardPlans, ...Object.fromEntries(added) }
}

/** What a tenant may have: its plan's limits, but for those that the platform set for it alone. */
export function limitsOf(plans: Plans, tenant: { readonly plan: string; readonly limits: Partial<Limits> }): Limits {
  const plan = plans[tenant.plan] ?? standardPlans.unlimited
  if (!plan) throw new Error('there is a plan without limits')
  return { ...plan, ...tenant.limits }
}

/** 403: the tenant has as much of something as its plan allows. What the triggers count, they refuse themselves. */
export const planLimitReached = (limit: keyof Limits, used: number, allowed: number): Problem =>
  new Problem(
    403,
    'PLAN_LIMIT_REACHED',
    `Your plan allows ${allowed} ${limit}; take some away, or ask for another plan`,
    {
      extra: { limit, used, allowed },
    },
  )
