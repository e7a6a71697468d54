import type { RowError } from './draft.ts'

/** What was done to a record, so that it can be undone. */
export interface Effect {
  readonly type: string
  readonly id: string
  readonly version: number
  /** What the members that were set held before; null: the record was made. */
  readonly before: Readonly<Record<string, unknown>> | null
}

/** A link to a record that may stand further down: resolved after the last row. */
export interface Link {
  readonly line: number
  readonly recordId: string
  readonly member: string
  readonly by: string
  readonly value: string
  readonly column: string
}

/** A row as it would be made, for the preview of a dry run. */
export interface Preview {
  readonly line: number
  readonly action: 'create' | 'update' | 'skip' | 'fail'
  /** The record as JSON text; null when there is none. */
  readonly json: string | null
}

/** What became of rows. */
export interface Outcome {
  created: number
  updated: number
  skipped: number
  failed: number
  readonly errors: RowError[]
  readonly effects: Effect[]
  readonly links: Link[]
  readonly previews: Preview[]
  /** By what the rows that were written are known to those behind them. */
  readonly keys: string[]
  /** Records that were made because a row named them. */
  readonly made: { readonly type: string; readonly name: string; readonly id: string; readonly by: string }[]
}

/** Nothing has been done yet. */
export const emptyOutcome = (): Outcome => ({
  created: 0,
  updated: 0,
  skipped: 0,
  failed: 0,
  errors: [],
  effects: [],
  links: [],
  previews: [],
  keys: [],
  made: [],
})

/** Adds what became of further rows. */
export function addOutcome(sum: Outcome, part: Outcome): void {
  sum.created += part.created
  sum.updated += part.updated
  sum.skipped += part.skipped
  sum.failed += part.failed
  sum.errors.push(...part.errors)
  sum.effects.push(...part.effects)
  sum.links.push(...part.links)
  sum.previews.push(...part.previews)
  sum.keys.push(...part.keys)
  sum.made.push(...part.made)
}
