import { DateTime } from 'luxon'
import { type DateOrder, readDate, readTime } from './cell-dates.ts'
import { type Decimal, readNumber } from './cell-numbers.ts'
import { CellError, textOf } from './cell-text.ts'
import type { Field } from './fields.ts'

export type { DateOrder } from './cell-dates.ts'
export type { Decimal } from './cell-numbers.ts'
export { CellError } from './cell-text.ts'

/** How the cells of a column are written: said by the caller, or recognised on the whole column. */
export interface CellStyle {
  readonly dateOrder: DateOrder
  readonly decimal: Decimal
  /** The zone of a time that names none. */
  readonly timezone: string
}

/** What of a field decides how a cell is read. */
export type CellField = Pick<Field, 'kind' | 'choices' | 'parts'>

/**
 * A cell of a spreadsheet as the value of a member: text, or what a typed source gives (a number, a truth, a date, a list).
 * Absent when it is empty. Throws {@link CellError} when it cannot be one; whether the member takes it, its schema says.
 */
export function fromCell(field: CellField, cell: unknown, style: CellStyle): unknown {
  const bare = typeof cell === 'string' ? cell.trim() : cell
  if (bare === '' || bare === null || bare === undefined || isEmptyObject(bare)) return undefined
  return (readers[field.kind] ?? readText)(bare, style, field)
}

const isEmptyObject = (cell: unknown): boolean =>
  typeof cell === 'object' && cell !== null && !(cell instanceof Date) && Object.keys(cell).length === 0

/** A value as a cell of a text table: what {@link fromCell} reads back as the same value. */
export function toCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value)) return listCell(value)
  if (typeof value === 'object') return Object.keys(value).length === 0 ? '' : JSON.stringify(value)
  return String(value)
}

/** A cell that a spreadsheet would take for a formula gets one leading `'`, and one that has it already gets another. */
export const guarded = (cell: string): string => (/^[=+\-@\t']/.test(cell) ? `'${cell}` : cell)

/** Takes the `'` of {@link guarded} off again. */
export const unguarded = (cell: string): string => (/^'[=+\-@\t']/.test(cell) ? cell.slice(1) : cell)

type Reader = (cell: unknown, style: CellStyle, field: CellField) => unknown

const readText: Reader = (cell) => textOf(cell)

const readers: Readonly<Record<string, Reader>> = {
  email: (cell) => textOf(cell).replace(/^mailto:/i, ''),
  // Spreadsheets often hold an address without its scheme.
  url: (cell) => textOf(cell).replace(/^(?![a-z][a-z0-9+.-]*:)/i, 'https://'),
  number: (cell, { decimal }) => readNumber(cell, decimal),
  decimal: (cell, { decimal }) => readNumber(cell, decimal),
  money: (cell, { decimal }) => readNumber(cell, decimal),
  currency: (cell) => textOf(cell).toUpperCase(),
  date: (cell, { dateOrder, timezone }) => readDate(cell, dateOrder, timezone),
  time: (cell, { dateOrder, timezone }) => readTime(cell, dateOrder, timezone),
  choice: readChoice,
  flag: readFlag,
  tags: readList,
  emails: readList,
  phones: readList,
  refs: readList,
  related: readJson,
  customFields: readJson,
  json: readJson,
}

/** By its value or by what people see of it: `in_progress`, `In progress` and `in-progress` are one. */
function readChoice(cell: unknown, _style: CellStyle, { choices = [] }: CellField): unknown {
  const text = textOf(cell)
  const same = (choice: string) => folded(choice) === folded(text)
  const found = choices.find((choice) => choice === text) ?? choices.find(same)
  if (found === undefined) throw new CellError(`must be one of ${choices.join(', ')}`)
  return found
}

const folded = (text: string): string => text.toLowerCase().replaceAll(/[\s_-]+/g, '')

const words: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['true', 'yes', 'y', '1', 'on', 'x', '✓', 'ja', 'oui', 'sí', 'si'].map((word) => [word, true])),
  ...Object.fromEntries(['false', 'no', 'n', '0', 'off', 'nein', 'non'].map((word) => [word, false])),
}

function readFlag(cell: unknown): boolean {
  if (typeof cell === 'boolean') return cell
  const word = textOf(cell).toLowerCase()
  const value = Object.hasOwn(words, word) ? words[word] : undefined
  if (value === undefined) throw new CellError('must be true or false')
  return value
}

/** A list as JSON, or separated by commas or semicolons. */
function readList(cell: unknown, style: CellStyle, field: CellField): unknown {
  const items = itemsOf(cell)
  if (items.length === 0) return undefined
  return field.choices ? items.map((item) => readChoice(item, style, field)) : items
}

function itemsOf(cell: unknown): readonly unknown[] {
  if (Array.isArray(cell)) return cell
  const text = textOf(cell)
  const json = text.startsWith('[') ? parsed(text) : undefined
  if (Array.isArray(json) && json.every((item) => typeof item === 'string')) return json
  const items = text.split(/[,;]/).map((item) => item.trim())
  return items.filter((item) => item !== '')
}

/** As a separated list where that is read back as the same, else as JSON. */
function listCell(values: readonly unknown[]): string {
  if (values.length === 0) return ''
  const plain = values.every((value) => typeof value === 'string' && /^[^\s,;[]([^,;]*[^\s,;])?$/.test(value))
  return plain ? values.join('; ') : JSON.stringify(values)
}

function readJson(cell: unknown): unknown {
  if (typeof cell === 'object') return cell
  const value = parsed(textOf(cell))
  if (typeof value !== 'object' || value === null) throw new CellError('must be JSON')
  return value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether a text names a zone that times can be read in. */
export const isZone = (name: string): boolean => DateTime.local({ zone: name }).isValid
