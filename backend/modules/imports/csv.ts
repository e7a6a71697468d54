import type { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { unguarded } from '../../kernel/entity/cells.ts'
import { decoding, type Encoding } from './encoding.ts'
import { type Table, TableError, type TableRow } from './table.ts'

const longestRow = 1_048_576

/** How a text table is written. */
export interface CsvStyle {
  readonly encoding: Encoding
  readonly delimiter: string
}

/** A text table. `open` gives its bytes anew. */
export async function openCsv(open: () => Promise<Readable>, style: CsvStyle): Promise<Table> {
  let columns: readonly string[] = []
  for await (const { cells } of rowsOf(await open(), style)) {
    columns = cells.map((cell) => String(cell).trim())
    break
  }
  return {
    columns,
    rows: async function* () {
      let header = true
      for await (const row of rowsOf(await open(), style)) {
        if (header) header = false
        else yield row
      }
    },
  }
}

/** The rows with the header, blank ones left out. A row begins on the line after the one where the last has ended. */
async function* rowsOf(bytes: Readable, { encoding, delimiter }: CsvStyle): AsyncIterable<TableRow> {
  const parser = parse({
    delimiter,
    bom: true,
    relax_column_count: true,
    // A quote inside of a cell that began without one is a quote: 5" pipes.
    relax_quotes: true,
    max_record_size: longestRow,
    record_delimiter: ['\r\n', '\n', '\r'],
  })
  // The parser reads UTF-8 by itself, and faster than from text.
  const text = encoding === 'utf-8' ? bytes : bytes.pipe(decoding(encoding))
  bytes.once('error', (error) => text.destroy(error))
  text.once('error', (error) => parser.destroy(error))
  text.pipe(parser)
  let line = 1
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      const begins = line
      line += 1 + breaksIn(record)
      if (record.every((cell) => cell === '')) continue
      yield { line: begins, cells: record.map(unguarded) }
    }
  } catch (error) {
    throw error instanceof CsvError ? new TableError(reasonOf(error)) : error
  } finally {
    bytes.destroy()
    parser.destroy()
  }
}

/** The parser's own count takes the two characters of one line break for two lines. */
function breaksIn(record: readonly string[]): number {
  let breaks = 0
  for (const cell of record) if (/[\r\n]/.test(cell)) breaks += cell.match(/\r\n|\r|\n/g)?.length ?? 0
  return breaks
}

function reasonOf(error: CsvError): string {
  const [line = 'an unknown line'] = /line \d+/.exec(error.message) ?? []
  if (error.code === 'CSV_MAX_RECORD_SIZE')
    return `The row at ${line} is longer than 1 MiB: a quote is probably not closed`
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') return `A quote that is opened at ${line} is not closed`
  return `The row at ${line} could not be read: ${error.message}`
}
