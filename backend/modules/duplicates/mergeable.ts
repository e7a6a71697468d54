import type { Entity, Sameness } from '../../kernel/entity/define.ts'

/** A noun whose duplicates are found. */
export type Mergeable = Entity & { readonly sameness: Sameness }

/** The nouns that say by what their records are the same. */
export const mergeableOf = (entities: ReadonlyMap<string, Entity>): Mergeable[] =>
  [...entities.values()].filter((entity): entity is Mergeable => entity.sameness !== undefined)

/** A record by its place. */
export interface Located {
  readonly tenantId: string
  readonly id: string
}

/** A record's place as one text. */
export const recordKey = ({ tenantId, id }: Located): string => `${tenantId} ${id}`
