import type { Readable } from 'node:stream'
import { unguarded } from '../../kernel/entity/cells.ts'
import { csvRows } from './csv-rows.ts'
import { decoded, type Encoding, isDecoded } from './encoding.ts'
import { type Table, TableError, type TableRow } from './table.ts'

/** How a text table is written. */
export interface CsvStyle {
  readonly encoding: Encoding
  readonly delimiter: string
}

/** A text table. `open` gives its bytes anew. */
export async function openCsv(open: () => Promise<Readable>, style: CsvStyle): Promise<Table> {
  return {
    columns: await headerOf(rowsOf(await open(), style), style),
    rows: async function* () {
      let header = true
      for await (const { line, cells, broken } of rowsOf(await open(), style)) {
        if (header) header = false
        else if (broken !== undefined) yield { line, cells, broken }
        else yield { line, cells: cells.map((cell) => unguarded(String(cell))) }
      }
    },
  }
}

async function headerOf(rows: AsyncIterable<TableRow>, { encoding }: CsvStyle): Promise<string[]> {
  for await (const { line, cells, broken } of rows) {
    if (broken !== undefined) throw new TableError(`The first row, at line ${line}, ${broken}`)
    const columns = cells.map((cell) => unguarded(String(cell)).trim())
    if (!columns.every(isDecoded)) throw new TableError(`The first row, at line ${line}, is not all ${encoding}`)
    return columns
  }
  return []
}

/** The rows with the header, blank ones left out. */
async function* rowsOf(bytes: Readable, { encoding, delimiter }: CsvStyle): AsyncIterable<TableRow> {
  const { feed, end } = csvRows(delimiter)
  for await (const text of decoded(bytes, encoding)) for (const row of feed(text)) if (!isBlank(row)) yield row
  for (const row of end()) if (!isBlank(row)) yield row
}

const isBlank = ({ cells, broken }: TableRow): boolean => broken === undefined && cells.every((cell) => cell === '')
