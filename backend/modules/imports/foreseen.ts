import type { Draft, RowError } from './draft.ts'
import { createKeySet } from './key-set.ts'
import type { Plan } from './mapping.ts'
import { matchKey } from './matching.ts'

/** What the rows before would have made: nothing of a dry run stays, and the rows behind must be told as if it did. */
export interface Foreseen {
  /** Whether a row before would have made the record that this row is. */
  isMade(draft: Draft): boolean
  /** What is wrong with making this row: a value that only one record may have, and a row before has. */
  taken(draft: Draft): RowError[]
  /** By what rows behind will know it, once it is written. */
  keysOf(draft: Draft): string[]
  remember(keys: readonly string[]): void
}

/** The memory of a dry run; bounded, so that of more than a million rows the last may be told as if they were alone. */
export function createForeseen(plan: Plan): Foreseen {
  const seen = createKeySet()
  const uniques = [...plan.columns, ...plan.defaults].flatMap(({ target }) =>
    target.kind === 'value' && target.unique ? [target] : [],
  )
  const heldBy = (draft: Draft, { member, part }: (typeof uniques)[number]): unknown =>
    part === null ? draft.values[member] : Object(draft.values[member])[part]
  const uniqueKey = (draft: Draft, target: (typeof uniques)[number]): string | null => {
    const value = heldBy(draft, target)
    if (value === undefined || value === null) return null
    return `unique ${target.path} ${JSON.stringify(target.field.kind === 'email' ? String(value).toLowerCase() : value)}`
  }
  const same = (draft: Draft): string | null => {
    const key = matchKey(plan, draft)
    return key === null ? null : `same ${key}`
  }
  return {
    isMade: (draft) => {
      const key = same(draft)
      return key !== null && seen.has(key)
    },
    taken: (draft) =>
      uniques.flatMap((target) => {
        const key = uniqueKey(draft, target)
        if (key === null || !seen.has(key)) return []
        const column =
          draft.columnOf.get(target.part === null ? target.member : `${target.member}.${target.part}`) ?? ''
        const reason =
          target.part === null
            ? `${target.member} is taken by another record`
            : 'a unique custom field has a value that another record has'
        return [{ line: draft.line, column, value: draft.cellOf(column), reason }]
      }),
    keysOf: (draft) =>
      [same(draft), ...uniques.map((target) => uniqueKey(draft, target))].filter((key) => key !== null),
    remember: (keys) => {
      for (const key of keys) seen.add(key)
    },
  }
}
