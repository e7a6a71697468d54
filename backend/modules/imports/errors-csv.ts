import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify/sync'
import type { Tx } from '../../kernel/db/database.ts'
import { guarded } from '../../kernel/entity/cells.ts'
import { listErrors } from './import.queries.ts'

const rowsAQuery = 1_000

/** The errors of an import as CSV, as they are read. */
export const errorsCsv = (tx: Tx, importId: string): Readable => Readable.from(lines(tx, importId))

async function* lines(tx: Tx, importId: string): AsyncIterable<string> {
  yield 'line,column,value,reason\r\n'
  for (let after = { line: -1, place: -1 }; ; ) {
    const rows = await listErrors(tx, importId, after, rowsAQuery)
    const cells = rows.map(({ line, column, value, reason }) => [
      line,
      guarded(column),
      guarded(value),
      guarded(reason),
    ])
    if (cells.length > 0) yield stringify(cells, { record_delimiter: '\r\n' })
    const last = rows.at(-1)
    if (!last || rows.length < rowsAQuery) return
    after = last
  }
}
