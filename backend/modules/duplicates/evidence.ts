import type { Sameness } from '../../kernel/entity/define.ts'
import type { KeyKind, MatchKey } from './keys.ts'
import { isSimilar } from './names.ts'

/** Why two records may be the same. */
export interface Reason {
  /** The member, or `name` for the parts of a name. */
  readonly field: string
  readonly kind: 'equal' | 'similar'
  /** What they share, in normal form. */
  readonly value?: string
}

/** How surely two records are the same, from 0 to 100, and why. */
export interface Evidence {
  readonly score: number
  readonly reasons: readonly Reason[]
}

/** A key that more records share than this is no evidence: an address of a switchboard, the domain of a group. */
export const mostSharing = 20

/** Weighs what two records share, and their names as `comparableName` gives them; null when it is too little. */
export function weigh(
  sameness: Sameness,
  names: readonly [string, string],
  shared: readonly MatchKey[],
): Evidence | null {
  const { of } = sameness.name
  const named = nameReason(names)
  const reasons: Reason[] = []
  let doubt = 1
  for (const kind of exact) {
    const same = shared.find((one) => one.kind === kind)
    // An equal address says all that its domain could.
    if (!same || (kind === 'domain' && of === 'person' && reasons[0]?.field === sameness.email?.[0])) continue
    reasons.push({ field: fieldOf(sameness, kind), kind: 'equal', value: same.key })
    doubt *= 1 - weights[of][kind]
  }
  if (named) {
    reasons.push(named)
    doubt *= 1 - weights[of][named.kind]
  }
  const contradicted = !named && names[0] !== '' && names[1] !== ''
  const score = Math.round(100 * (1 - doubt) * (contradicted ? contradiction : 1))
  return score < leastScore ? null : { score, reasons }
}

/** How the reasons call what two records share: by the first of the members that hold it. */
export const fieldOf = (sameness: Sameness, kind: KeyKind): string =>
  kind === 'email' || kind === 'phone' || kind === 'domain' ? (sameness[kind]?.[0] ?? kind) : 'name'

const exact = ['email', 'phone', 'domain'] as const satisfies readonly KeyKind[]

/** How far each kind of evidence goes alone; several add up as independent witnesses do. */
const weights = {
  // Colleagues share a domain: of a person it only strengthens a name.
  person: { email: 0.9, phone: 0.7, domain: 0.2, equal: 0.6, similar: 0.45 },
  organisation: { email: 0.9, phone: 0.6, domain: 0.8, equal: 0.7, similar: 0.5 },
} as const

/** Families share a telephone and teams a mailbox: two different names weaken what else is equal. */
const contradiction = 0.6

const leastScore = 40

function nameReason([a, b]: readonly [string, string]): Reason | null {
  if (a === '' || b === '') return null
  if (a === b) return { field: 'name', kind: 'equal', value: a }
  return isSimilar(a, b) ? { field: 'name', kind: 'similar' } : null
}
