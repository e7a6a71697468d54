import { type DateEvidence, dateOrderOf, weighDate } from '../../kernel/entity/cell-dates.ts'
import { decimalOf, type NumberEvidence, weighNumber } from '../../kernel/entity/cell-numbers.ts'
import type { CellStyle, DateOrder, Decimal } from '../../kernel/entity/cells.ts'
import type { Plan } from './mapping.ts'
import type { Table } from './table.ts'

/** What a walk over the whole table found: how many rows it has, and how its columns are written. */
export interface Survey {
  readonly total: number
  /** The styles of columns with dates or numbers, by the column's name. */
  readonly columns: Readonly<Record<string, { dateOrder?: DateOrder; decimal?: Decimal }>>
}

const dated = new Set(['date', 'time'])
const numeric = new Set(['number', 'decimal', 'money'])

/** Walks over the table once. What was said is not weighed. */
export async function survey(
  table: Table,
  plan: Plan,
  said: { dateOrder?: DateOrder | undefined; decimal?: Decimal | undefined; locale: string; signal: AbortSignal },
): Promise<Survey> {
  const values = plan.columns.flatMap(({ column, index, target }) =>
    target.kind === 'value' ? [{ column, index, kind: target.field.kind }] : [],
  )
  const dates = values
    .filter(({ kind }) => dated.has(kind))
    .map((column) => ({ ...column, evidence: { dmy: 0, mdy: 0, ymd: 0, dotted: 0, seen: 0 } satisfies DateEvidence }))
  const numbers = values
    .filter(({ kind }) => numeric.has(kind))
    .map((column) => ({ ...column, evidence: { dot: 0, comma: 0 } satisfies NumberEvidence }))
  let total = 0
  for await (const { cells } of table.rows()) {
    if (++total % 1_000 === 0) said.signal.throwIfAborted()
    for (const { index, evidence } of dates) weighDate(evidence, cells[index])
    for (const { index, evidence } of numbers) weighNumber(evidence, cells[index])
  }
  const columns: Record<string, { dateOrder?: DateOrder; decimal?: Decimal }> = Object.create(null)
  for (const { column, evidence } of dates)
    columns[column] = { dateOrder: said.dateOrder ?? dateOrderOf(evidence, said.locale) }
  for (const { column, evidence } of numbers) columns[column] = { decimal: said.decimal ?? decimalOf(evidence) }
  return { total, columns }
}

/** How the cells of a column are to be read. */
export const styleOf = (survey: Survey, column: string, timezone: string): CellStyle => ({
  dateOrder: survey.columns[column]?.dateOrder ?? 'mdy',
  decimal: survey.columns[column]?.decimal ?? '.',
  timezone,
})
