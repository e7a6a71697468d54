import { Problem } from '../errors.ts'
import type { SignedIn, SignedInOperator } from './authenticator.ts'
import { networkOf } from './network.ts'
import type { RateCounter } from './rate-counter.ts'

/** How many calls a minute are served. */
export interface Quotas {
  /** From one address to the calls that anybody may make: above all of signing in. */
  readonly address: number
  /** Of one user, key or service. */
  readonly user: number
}

/** What a call is answered besides: the fields of draft-ietf-httpapi-ratelimit-headers-10, and 429 when it was too many. */
export interface Counted {
  readonly headers: Readonly<Record<string, string>>
  readonly problem: Problem | undefined
}

/** Counts calls and tells when they are too many. */
export interface RateLimits {
  /** Of who is not known yet. */
  ofAddress(ip: string | null): Counted
  ofCaller(who: SignedIn | SignedInOperator): Counted
}

/** Makes the limits. Nothing is awaited: a call is counted in memory, and what others count is learnt on the side. */
export function createRateLimits(counter: RateCounter, quotas: Quotas): RateLimits {
  const judge = (counts: readonly Count[]): Counted => {
    const { left } = counter
    const headers: Record<string, string> = {
      'RateLimit-Policy': counts.map(({ name, quota }) => `"${name}";q=${quota};w=60`).join(', '),
      RateLimit: counts.map(({ name, quota, used }) => `"${name}";r=${Math.max(0, quota - used)};t=${left}`).join(', '),
    }
    const spent = counts.find(({ quota, used }) => used > quota)
    return { headers, problem: spent && tooMany(spent, left, headers) }
  }
  const counted = (name: string, key: string, quota: number): Count => ({ name, quota, used: counter.count(key) })
  return {
    ofAddress: (ip) => judge([counted('address', `a ${networkOf(ip)}`, quotas.address)]),
    ofCaller: (who) => {
      if (who.operator) return judge([counted('user', `o ${who.operator.id}`, quotas.user)])
      const { tenantId, actor } = who.ctx
      const ofUser = counted('user', `u ${tenantId} ${actor.id}`, quotas.user)
      const { callsPerMinute } = who
      // What is refused to one is not taken from what all of his tenant may call.
      if (callsPerMinute == null || ofUser.used > ofUser.quota) return judge([ofUser])
      return judge([ofUser, counted('plan', `t ${tenantId}`, callsPerMinute)])
    },
  }
}

interface Count {
  readonly name: string
  readonly quota: number
  readonly used: number
}

const whose: Readonly<Record<string, string>> = {
  address: 'Too many calls from your address',
  user: 'You call too often',
  plan: 'Your tenant calls more often than its plan allows',
}

const tooMany = ({ name }: Count, left: number, headers: Record<string, string>): Problem =>
  new Problem(429, 'RATE_LIMITED', `${whose[name]}; try again in ${left} seconds`, {
    headers: { ...headers, 'Retry-After': String(left) },
  })
