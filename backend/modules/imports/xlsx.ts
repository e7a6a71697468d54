import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readSheet } from 'read-excel-file/node'
import { unguarded } from '../../kernel/entity/cells.ts'
import { type Table, TableError } from './table.ts'

/** A workbook is read as a whole: so large it may be, and so large what is packed into it. */
export const largestWorkbook = 10 * 1_048_576
const largestUnpacked = 100 * 1_048_576

/**
 * The first sheet of a workbook. Its format keeps the texts apart from the cells, so it is held in memory; what is larger
 * goes as CSV.
 */
export async function openXlsx(open: () => Promise<Readable>): Promise<Table> {
  const bytes = await buffer(await open())
  refuseLarge(bytes)
  const [header = [], ...rows] = await readSheet(bytes, { trim: false }).catch((error: unknown) => {
    throw new TableError(`The workbook could not be read: ${error instanceof Error ? error.message : 'unknown'}`)
  })
  return {
    columns: header.map((cell) => (cell === null ? '' : String(cell).trim())),
    rows: async function* () {
      for (const [index, row] of rows.entries()) {
        const cells = row.map((cell) => (typeof cell === 'string' ? unguarded(cell) : cell))
        if (cells.some((cell) => cell !== null && cell !== '')) yield { line: index + 2, cells }
      }
    },
  }
}

/** Adds up what the directory of the archive says of its files: a small workbook can unpack to gigabytes. */
function refuseLarge(bytes: Buffer): void {
  if (bytes.length > largestWorkbook) throw new TableError('A workbook may have at most 10 MiB; save it as CSV')
  const directory = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (directory < 0 || directory + 22 > bytes.length) throw new TableError('This is not an XLSX workbook')
  let place = bytes.readUInt32LE(directory + 16)
  let unpacked = 0
  for (let left = bytes.readUInt16LE(directory + 10); left > 0 && place + 46 <= bytes.length; left--) {
    unpacked += bytes.readUInt32LE(place + 24)
    place += 46 + bytes.readUInt16LE(place + 28) + bytes.readUInt16LE(place + 30) + bytes.readUInt16LE(place + 32)
  }
  if (unpacked > largestUnpacked) throw new TableError('This workbook unpacks to more than 100 MiB; save it as CSV')
}
