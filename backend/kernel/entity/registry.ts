import type { Entity } from './define.ts'

/** Where the records of a type stand, for the checks of references. */
export interface Target {
  readonly table: string
  /** SQL over alias `x`: whether a record may be newly referred to. */
  readonly live: string
  /** The noun of records to which one may only refer where one may read them; absent: whoever writes may refer to them. */
  readonly readAs?: Entity
}

/** All nouns of the house, by type and by path. Made by the composition root. */
export interface Registry {
  readonly entities: ReadonlyMap<string, Entity>
  byPath(path: string): Entity | undefined
  target(type: string): Target
}

/** Registers nouns, and what can be referred to without being one of the engine's. */
export function createRegistry(entities: readonly Entity[], others: Readonly<Record<string, Target>>): Registry {
  const byType = new Map(entities.map((entity) => [entity.type, entity]))
  const byPath = new Map(entities.map((entity) => [entity.path, entity]))
  return {
    entities: byType,
    byPath: (path) => byPath.get(path),
    target: (type) => {
      const other = others[type]
      if (other) return other
      const entity = byType.get(type)
      if (!entity) throw new Error(`nothing is registered for references to ${type}`)
      return { table: entity.table, live: 'x.deleted_at is null', ...(entity.shareable ? { readAs: entity } : {}) }
    },
  }
}
