import { TableError, type TableRow } from './table.ts'

/** The rows of a table with separators, from its text in pieces of any length. */
export interface CsvRows {
  /** The rows that end in this piece. */
  feed(piece: string): TableRow[]
  /** The last row, when no line break ended it. Throws {@link TableError} for a quote that is still open. */
  end(): TableRow[]
}

/** A row may have so many characters with its separators. What is longer is wrong by itself, and is not held. */
const longestRow = 1_048_576

/** `left`: behind a quote in a quoted cell; what follows says what it was. */
type Place = 'start' | 'plain' | 'quoted' | 'left'

/**
 * Reads a table as spreadsheets do: a quoted cell holds line breaks, separators and, doubled, quotes; a quote in a cell that
 * began without one is a quote (5" pipes). `csv-parse` reads it so too, but holds a cell until it ends, however long it
 * is, and cannot say where a quote was opened.
 */
export function csvRows(delimiter: string): CsvRows {
  const plainEnd = new RegExp(`[\\r\\n\\${delimiter}]`, 'g')
  let place: Place = 'start'
  let [line, begins, opened] = [1, 1, 1]
  let [cells, cell, size]: [string[], string, number] = [[], '', 0]
  let ended: TableRow[] = []
  let held = ''

  const keep = (text: string) => {
    size += text.length
    if (size <= longestRow) cell += text
  }
  const endCell = () => {
    size++
    if (size <= longestRow) cells.push(cell)
    cell = ''
    place = 'start'
  }
  const endRow = () => {
    endCell()
    ended.push(size <= longestRow ? { line: begins, cells } : { line: begins, cells: [], broken: tooLong })
    ;[cells, size] = [[], 0]
  }

  /** Each reads on from a place of the text, and gives where it stopped. */
  const steps: Readonly<Record<Place, (text: string, at: number) => number>> = {
    start: (text, at) => {
      place = text[at] === '"' ? 'quoted' : 'plain'
      if (place === 'plain') return at
      opened = line
      return at + 1
    },
    plain: (text, at) => {
      const end = next(plainEnd, text, at)
      keep(text.slice(at, end))
      if (end === text.length) return end
      if (text[end] === delimiter) {
        endCell()
        return end + 1
      }
      endRow()
      begins = ++line
      return end + breakOf(text, end).length
    },
    quoted: (text, at) => {
      const end = next(quotedEnd, text, at)
      keep(text.slice(at, end))
      if (end === text.length) return end
      if (text[end] === '"') {
        place = 'left'
        return end + 1
      }
      const lineBreak = breakOf(text, end)
      keep(lineBreak)
      line++
      return end + lineBreak.length
    },
    left: (text, at) => {
      if (text[at] === '"') {
        keep('"')
        place = 'quoted'
        return at + 1
      }
      // `"ab"c` was no quoted cell: its quotes are a part of it.
      if (text[at] !== delimiter && text[at] !== '\r' && text[at] !== '\n') cell = `"${cell}"`
      place = 'plain'
      return at
    },
  }

  const read = (text: string): TableRow[] => {
    for (let at = 0; at < text.length; ) at = steps[place](text, at)
    const rows = ended
    ended = []
    return rows
  }

  return {
    feed: (piece) => {
      const text = held + piece
      // The second half of a line break may come with the next piece.
      held = text.endsWith('\r') ? '\r' : ''
      return read(held === '' ? text : text.slice(0, -1))
    },
    end: () => {
      const rows = read(held)
      if (place === 'quoted') throw new TableError(`The quote that is opened at line ${opened} is never closed`)
      if (place !== 'start' || cells.length > 0) endRow()
      return [...rows, ...ended]
    },
  }
}

const tooLong = 'is longer than 1 MiB; if it should not be, look for a quote that is not closed'

const quotedEnd = /["\r\n]/g

function next(wanted: RegExp, text: string, from: number): number {
  wanted.lastIndex = from
  return wanted.exec(text)?.index ?? text.length
}

const breakOf = (text: string, at: number): string => (text.startsWith('\r\n', at) ? '\r\n' : (text[at] ?? ''))
