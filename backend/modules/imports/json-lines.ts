import type { Readable } from 'node:stream'
import { decoding, type Encoding } from './encoding.ts'
import { type Table, TableError, type TableRow } from './table.ts'

const longestLine = 1_048_576
const linesLookedAt = 1_000

/** A file with one JSON object a line. Its columns are the members of the first thousand lines. */
export async function openJsonLines(open: () => Promise<Readable>, encoding: Encoding): Promise<Table> {
  const names = new Set<string>()
  for await (const { line, content } of linesOf(await open(), encoding)) {
    for (const name of Object.keys(objectOf(content) ?? {})) names.add(name)
    if (line >= linesLookedAt) break
  }
  const columns = [...names]
  return {
    columns,
    rows: async function* () {
      for await (const { line, content } of linesOf(await open(), encoding))
        yield rowOf(line, objectOf(content), columns)
    },
  }
}

const rowOf = (line: number, object: Values | null, columns: readonly string[]): TableRow =>
  object
    ? { line, cells: columns.map((name) => object[name]) }
    : {
        line,
        cells: [],
        broken: `must be a JSON object on one line, with at most ${deepest} objects or lists in each other`,
      }

type Values = Readonly<Record<string, unknown>>

/** Blank lines are left out. */
async function* linesOf(bytes: Readable, encoding: Encoding): AsyncIterable<{ line: number; content: string }> {
  const text = bytes.pipe(decoding(encoding))
  bytes.once('error', (error) => text.destroy(error))
  let line = 0
  let rest = ''
  try {
    for await (const chunk of text) {
      const lines = `${rest}${chunk}`.split(/\r?\n/)
      rest = lines.pop() ?? ''
      if (rest.length > longestLine) throw new TableError(`Line ${line + lines.length + 1} is longer than 1 MiB`)
      for (const content of lines) if (++line && content.trim() !== '') yield { line, content }
    }
    if (rest.trim() !== '') yield { line: line + 1, content: rest }
  } finally {
    bytes.destroy()
  }
}

/** What is deeper cannot be printed again: the stack ends. */
const deepest = 20

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1)))

function objectOf(content: string): Values | null {
  try {
    const value: unknown = JSON.parse(content)
    if (typeof value !== 'object' || value === null || Array.isArray(value) || isDeeper(value, deepest)) return null
    // Without a prototype: a column may be called `constructor`.
    return Object.assign(Object.create(null), value)
  } catch {
    return null
  }
}
