import type { Readable } from 'node:stream'
import { decoded, type Encoding, isDecoded } from './encoding.ts'
import type { Table, TableRow } from './table.ts'

const longestLine = 1_048_576
const linesLookedAt = 1_000

/** A file with one JSON object a line. Its columns are the members of the first thousand lines. */
export async function openJsonLines(open: () => Promise<Readable>, encoding: Encoding): Promise<Table> {
  const names = new Set<string>()
  for await (const { line, content } of linesOf(await open(), encoding)) {
    const object = content !== null && isDecoded(content) ? objectOf(content) : null
    for (const name of Object.keys(object ?? {})) names.add(name)
    if (line >= linesLookedAt) break
  }
  const columns = [...names]
  return {
    columns,
    rows: async function* () {
      for await (const line of linesOf(await open(), encoding)) yield rowOf(line, columns, encoding)
    },
  }
}

function rowOf({ line, content }: Line, columns: readonly string[], encoding: Encoding): TableRow {
  const broken = (reason: string): TableRow => ({ line, cells: [], broken: reason })
  if (content === null) return broken('is longer than 1 MiB')
  if (!isDecoded(content)) return broken(`has characters that are not ${encoding}`)
  const object = objectOf(content)
  if (object) return { line, cells: columns.map((name) => object[name]) }
  return broken(`must be a JSON object on one line, with at most ${deepest} objects or lists in each other`)
}

type Values = Readonly<Record<string, unknown>>

interface Line {
  readonly line: number
  /** Null: it is too long to be held. */
  readonly content: string | null
}

/** Blank lines are left out. */
async function* linesOf(bytes: Readable, encoding: Encoding): AsyncIterable<Line> {
  let line = 0
  let rest: string | null = ''
  for await (const text of decoded(bytes, encoding)) {
    const [first = '', ...others] = text.split('\n')
    rest = rest === null || rest.length + first.length > longestLine ? null : rest + first
    for (const next of others) {
      line++
      if (rest?.trim() !== '') yield { line, content: rest }
      rest = next
    }
  }
  if (rest?.trim() !== '') yield { line: line + 1, content: rest }
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
