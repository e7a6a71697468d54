import type { estypes } from '@elastic/elasticsearch'
import { type Belonging, granteesOf, holdersOf, type Scope } from '../../kernel/rights.ts'

/** The fields of a document from which Elasticsearch tells who may reach its record; ids of users, and of teams for shares. */
export interface RightsFields {
  readonly type: string
  /** To whom the record belongs. */
  readonly holders: readonly string[]
  /** With whom it is shared in any way. */
  readonly readers: readonly string[]
  /** With whom it is shared so that they may write it. */
  readonly writers: readonly string[]
}

/** How an index keeps these fields. */
export const rightsMapping = {
  type: { type: 'keyword' },
  holders: { type: 'keyword' },
  readers: { type: 'keyword' },
  writers: { type: 'keyword' },
} as const satisfies Record<keyof RightsFields, estypes.MappingProperty>

/** These fields of the document of a record. */
export function rightsFields(type: string, belonging: Belonging): RightsFields {
  const { shares = [] } = belonging
  return {
    type,
    holders: holdersOf(belonging),
    readers: shares.map(({ id }) => id),
    writers: shares.filter(({ access }) => access === 'write').map(({ id }) => id),
  }
}

/** The filter which the documents of a type pass that a scope reaches; of several types each has its own, under `should`. */
export const rightsFilter = (type: string, scope: Scope): { bool: estypes.QueryDslBoolQuery } => ({
  bool: { filter: [{ term: { type } }, ...scopeFilters(scope)] },
})

function scopeFilters(scope: Scope): estypes.QueryDslQueryContainer[] {
  if (scope === 'all') return []
  if (scope === 'none') return [{ match_none: {} }]
  const named = (field: keyof RightsFields, ids: readonly string[]) => ({ terms: { [field]: [...ids] } })
  const shared = scope.shares ? [named(sharedWith[scope.shares], granteesOf(scope))] : []
  return [{ bool: { should: [named('holders', scope.userIds), ...shared], minimum_should_match: 1 } }]
}

const sharedWith = { read: 'readers', write: 'writers' } as const
