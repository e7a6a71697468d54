import type { Candidate } from './search.queries.ts'

/** How many of the candidates are of each type, tag and owner. */
export interface Facets {
  readonly type: Readonly<Record<string, number>>
  readonly tags: Readonly<Record<string, number>>
  readonly ownerId: Readonly<Record<string, number>>
}

/** Counts the candidates by what they can be narrowed to. */
export function facetsOf(candidates: readonly Candidate[]): Facets {
  return {
    type: counted(candidates.map(({ type }) => type)),
    tags: counted(candidates.flatMap(({ tags }) => tags)),
    ownerId: counted(candidates.flatMap(({ ownerId }) => ownerId ?? [])),
  }
}

/** The most frequent first. A tag may be called `__proto__`, so an object is only made of entries at the end. */
function counted(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return Object.fromEntries([...counts].toSorted((a, b) => b[1] - a[1]))
}
