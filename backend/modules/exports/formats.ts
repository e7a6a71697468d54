import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify/sync'
import { guarded, toCell, unguarded } from '../../kernel/entity/cells.ts'
import type { Column } from './columns.ts'
import { workbook } from './xlsx.ts'

/** Records a page at a time. */
export type Pages = AsyncIterable<readonly Readonly<Record<string, unknown>>[]>

/** How a format is written. */
export interface Format {
  readonly contentType: string
  /** Whether the columns were asked for: without them a line of JSON is the whole record. */
  write(pages: Pages, columns: readonly Column[], asked: boolean): Readable
}

/** The formats by their names. */
export const formats: Readonly<Record<'csv' | 'xlsx' | 'jsonl', Format>> = {
  csv: { contentType: 'text/csv; charset=utf-8', write: (pages, columns) => Readable.from(csv(pages, columns)) },
  xlsx: {
    contentType: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    write: (pages, columns) => Readable.from(workbook(sheet(pages, columns))),
  },
  jsonl: {
    contentType: 'application/x-ndjson; charset=utf-8',
    write: (pages, columns, asked) => Readable.from(jsonLines(pages, asked ? columns : null)),
  },
}

/** A cell that a spreadsheet would run gets a leading quote, which our import takes off again. */
async function* csv(pages: Pages, columns: readonly Column[]): AsyncIterable<string> {
  const lines = (rows: string[][]) => stringify(rows, { record_delimiter: '\r\n' })
  yield lines([columns.map(({ name }) => guarded(name))])
  for await (const page of pages)
    if (page.length > 0) yield lines(page.map((record) => columns.map(({ read }) => guarded(toCell(read(record))))))
}

/** Numbers and truths stay what they are; text never is a formula there, so only what an import would undo is guarded. */
async function* sheet(pages: Pages, columns: readonly Column[]): AsyncIterable<readonly unknown[][]> {
  yield [columns.map(({ name }) => name)]
  for await (const page of pages) {
    yield page.map((record) =>
      columns.map(({ read }) => {
        const value = read(record)
        if (typeof value === 'number' || typeof value === 'boolean') return value
        const text = toCell(value)
        return unguarded(text) === text ? text : `'${text}`
      }),
    )
  }
}

async function* jsonLines(pages: Pages, columns: readonly Column[] | null): AsyncIterable<string> {
  for await (const page of pages) {
    const lines = page.map((record) => {
      if (columns === null) return JSON.stringify(record)
      return JSON.stringify(Object.fromEntries(columns.map(({ name, read }) => [name, read(record) ?? null])))
    })
    if (lines.length > 0) yield `${lines.join('\n')}\n`
  }
}
