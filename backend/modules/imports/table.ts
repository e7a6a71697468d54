/** A row of a table: the line where it begins in its file (in a spreadsheet its row), and its cells by column. */
export interface TableRow {
  readonly line: number
  readonly cells: readonly unknown[]
  /** Why the row as a whole cannot be read. */
  readonly broken?: string
}

/** A table, however it is written. Its rows are read anew from the file each time, a few in memory at once. */
export interface Table {
  /** The names of the columns as they stand in the first row, trimmed. */
  readonly columns: readonly string[]
  rows(): AsyncIterable<TableRow>
}

/** How a file is written. */
export type TableFormat = 'csv' | 'xlsx' | 'jsonl'

/** The file is no table that we could read; the message says why, and where. */
export class TableError extends Error {
  override readonly name = 'TableError'
}
