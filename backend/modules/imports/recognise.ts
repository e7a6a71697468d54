import type { Readable } from 'node:stream'
import { openCsv } from './csv.ts'
import { recogniseDelimiter } from './delimiter.ts'
import { decodedHead, type Encoding, recogniseEncoding } from './encoding.ts'
import { openJsonLines } from './json-lines.ts'
import { type Table, TableError, type TableFormat } from './table.ts'
import { openXlsx } from './xlsx.ts'

/** How a file is written, as it was recognised or said. */
export interface FileStyle {
  readonly format: TableFormat
  readonly encoding: Encoding
  readonly delimiter: string
}

/** Recognises how a file is written, by its first bytes and its name; what was said is taken as said. */
export async function recogniseFile(
  open: () => Promise<Readable>,
  name: string,
  said: { encoding?: Encoding | undefined; delimiter?: string | undefined },
): Promise<FileStyle> {
  const head = await headOf(await open())
  if (head.length === 0) throw new TableError('The file is empty')
  if (head.subarray(0, 4).toString('latin1') === 'PK\x03\x04')
    return { format: 'xlsx', encoding: 'utf-8', delimiter: ',' }
  if (head.subarray(0, 4).toString('hex') === 'd0cf11e0')
    throw new TableError('This is a workbook of Excel 97; save it as XLSX or CSV')
  const encoding = said.encoding ?? (await recogniseEncoding(await open()))
  if (!encoding) throw new TableError('The encoding could not be recognised; save the file as UTF-8')
  const text = decodedHead(head, encoding)
  if (/\.(jsonl|ndjson)$/i.test(name) || /^\s*\{\s*"/.test(text)) return { format: 'jsonl', encoding, delimiter: ',' }
  return { format: 'csv', encoding, delimiter: said.delimiter ?? recogniseDelimiter(text) }
}

/** Opens the table of a file that was recognised. */
export async function openTable(open: () => Promise<Readable>, style: FileStyle): Promise<Table> {
  const table = await tableOf(open, style)
  if (table.columns.length > mostColumns)
    throw new TableError(`The table has ${table.columns.length} columns; at most ${mostColumns} are read`)
  return table
}

/** Every column is looked for among the members, which takes the process's time from everybody. */
const mostColumns = 1_000

function tableOf(open: () => Promise<Readable>, style: FileStyle): Promise<Table> {
  if (style.format === 'xlsx') return openXlsx(open)
  return style.format === 'jsonl' ? openJsonLines(open, style.encoding) : openCsv(open, style)
}

const looked = 65_536

async function headOf(bytes: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of bytes) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= looked) break
  }
  return Buffer.concat(chunks).subarray(0, looked)
}
