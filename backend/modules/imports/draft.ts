import { CellError, type CellStyle, fromCell } from '../../kernel/entity/cells.ts'
import { isDecoded } from './encoding.ts'
import type { Plan } from './mapping.ts'
import { type Survey, styleOf } from './survey.ts'
import type { TableRow } from './table.ts'
import type { PointerTarget, Target } from './target.ts'

/** Something of a row that is wrong, in the words of who made the table. */
export interface RowError {
  readonly line: number
  readonly column: string
  readonly value: string
  readonly reason: string
}

/** A record that a row names. */
export interface Pointer {
  readonly target: PointerTarget
  readonly column: string
  readonly text: string
}

/** A row as the record that it is to become; pointers are still to be resolved. */
export interface Draft {
  readonly line: number
  readonly id: string | null
  readonly values: Record<string, unknown>
  readonly pointers: readonly Pointer[]
  /** Products of which it gets a line item each. */
  readonly productIds: string[]
  readonly errors: RowError[]
  /** The columns that filled members, for what is found wrong later. */
  readonly columnOf: ReadonlyMap<string, string>
  /** What stands in a column of the row. */
  cellOf(column: string): string
}

/** Makes drafts of rows by a plan. */
export function drafter(plan: Plan, survey: Survey, width: number, timezone: string): (row: TableRow) => Draft {
  const columns = plan.columns.map((column) => ({ ...column, style: styleOf(survey, column.column, timezone) }))
  const usual: CellStyle = { dateOrder: 'ymd', decimal: '.', timezone }
  const columnOf = new Map(columns.map(({ column, target }) => [memberOf(target), column]))
  return (row) => {
    const draft: Draft & { id: string | null; pointers: Pointer[] } = {
      line: row.line,
      id: null,
      values: {},
      pointers: [],
      productIds: [],
      errors: [],
      columnOf,
      cellOf: (column) => shown(row.cells[columns.find((one) => one.column === column)?.index ?? -1]),
    }
    const wrong = shapeProblem(row, width)
    if (wrong) draft.errors.push({ line: row.line, column: '', value: '', reason: wrong })
    for (const { target, value } of plan.defaults) fill(draft, target, value, usual, '')
    for (const { column, index, target, style } of wrong ? [] : columns)
      fill(draft, target, row.cells[index], style, column)
    return draft
  }
}

const memberOf = (target: Target): string => {
  if (target.kind === 'value' && target.part !== null) return `${target.member}.${target.part}`
  return target.kind === 'pointer' ? (target.member ?? target.path) : target.path
}

/** A row with other cells than the header has: nobody knows which of them is which. */
function shapeProblem({ cells, broken }: TableRow, width: number): string | null {
  if (broken) return broken
  const extra = cells.slice(width).some((cell) => cell !== '' && cell !== null)
  if (extra || (cells.length < width && cells.every((cell) => typeof cell === 'string')))
    return `has ${cells.length} cells, and the header ${width}`
  return null
}

function fill(
  draft: Draft & { id: string | null; pointers: Pointer[] },
  target: Target,
  cell: unknown,
  style: CellStyle,
  column: string,
): void {
  try {
    if (typeof cell === 'string' && !isDecoded(cell))
      throw new CellError("has characters that are not of the file's encoding")
    const value = fromCell(target.kind === 'value' ? target.field : { kind: 'text' }, cell, style)
    if (value === undefined) return
    const text = String(value)
    if (target.kind === 'value') fillValue(draft, target, value)
    else if (target.kind === 'id') draft.id = text.toLowerCase()
    else draft.pointers.push(...textsOf(target, text).map((one) => ({ target, column, text: one })))
  } catch (error) {
    if (!(error instanceof CellError)) throw error
    draft.errors.push({ line: draft.line, column, value: shown(cell), reason: error.message })
  }
}

function fillValue(draft: Draft, { member, part }: Extract<Target, { kind: 'value' }>, value: unknown): void {
  if (part === null) draft.values[member] = value
  else draft.values[member] = { ...Object(draft.values[member]), [part]: value }
}

const textsOf = ({ many }: PointerTarget, text: string): string[] =>
  many
    ? text
        .split(/[,;]/)
        .map((one) => one.trim())
        .filter((one) => one !== '')
    : [text]

/** A cell as the report of errors shows it. */
export function shown(cell: unknown): string {
  const text =
    typeof cell === 'string' ? cell : cell instanceof Date ? cell.toISOString() : (JSON.stringify(cell) ?? '')
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
