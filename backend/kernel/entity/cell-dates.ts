import { DateTime } from 'luxon'
import { CellError, isoOf, textOf } from './cell-text.ts'

/** Which of day, month and year comes first. */
export type DateOrder = 'dmy' | 'mdy' | 'ymd'

/** A day, `YYYY-MM-DD`: `3/1/2017` by the column's order, `1 Mar 2017`, ISO; of an instant the day in the zone. */
export function readDate(cell: unknown, order: DateOrder, timezone: string): string {
  const text = dated(cell)
  const instant = instantOf(text)
  if (instant) return isoDate(instant.setZone(timezone))
  const { day } = dayAndClock(text, order)
  return isoDate(day)
}

/** An instant, RFC 3339: a day alone begins at midnight; without an offset it is the zone's. */
export function readTime(cell: unknown, order: DateOrder, timezone: string): string {
  const text = dated(cell)
  const instant = instantOf(text)
  if (instant) return iso(instant)
  const { day, clock } = dayAndClock(text, order)
  return iso(day.set(clock).setZone(timezone, { keepLocalTime: true }))
}

/** A spreadsheet counts days from the end of 1899. */
function dated(cell: unknown): string {
  if (typeof cell !== 'number') return textOf(cell)
  if (!(cell >= 1 && cell < 2_958_466)) return refuse()
  return isoOf(new Date(Math.round(Date.UTC(1899, 11, 30) / 1_000 + cell * 86_400) * 1_000))
}

const instantOf = (text: string): DateTime | null => {
  if (!/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(Z|[+-]\d{2}:?\d{2})$/i.test(text)) return null
  const instant = DateTime.fromISO(text.replace(' ', 'T').replace(' ', ''), { setZone: true })
  return instant.isValid ? instant : refuse()
}

const isoDate = (day: DateTime): string => day.toISODate() ?? refuse()

const iso = (instant: DateTime): string => instant.toUTC().toISO() ?? refuse()

function refuse(): never {
  throw new CellError('must be a date such as 2026-11-21')
}

const dayShape = /^(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?![\d./-])/
const wordShape =
  /^(?:(\d{1,2})[. -]{1,2}([a-z]{3,9})\.?[, -]{1,2}(\d{4})|([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4}))(?!\d)/i
const clockShape = /^[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?([ap])\.?m\.?)?$/i

function dayAndClock(
  text: string,
  order: DateOrder,
): { day: DateTime; clock: { hour: number; minute: number; second: number } } {
  const found = dayShape.exec(text) ?? wordShape.exec(text)
  if (!found) return refuse()
  const parts = text.match(dayShape) ? numbersOf(found, order) : wordsOf(found)
  const day = DateTime.fromObject(parts, { zone: 'utc' })
  if (!day.isValid || parts.year === 0) return refuse()
  const rest = text.slice(found[0].length)
  const [, hour = '0', minute = '0', second = '0', half] = rest === '' ? [] : (clockShape.exec(rest) ?? refuse())
  const hours = half ? (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0) : Number(hour)
  if (hours > 23 || Number(minute) > 59 || Number(second) > 59) return refuse()
  return { day, clock: { hour: hours, minute: Number(minute), second: Number(second) } }
}

interface Day {
  readonly day: number
  readonly month: number
  readonly year: number
}

/** A year of four digits says where it stands, whatever the column's order. */
function numbersOf([, first = '', , second = '', third = '']: RegExpExecArray, order: DateOrder): Day {
  const by = first.length > 2 ? 'ymd' : order === 'ymd' && third.length === 4 ? 'dmy' : order
  if (first.length === 3 || third.length === 3 || (by === 'ymd' && third.length > 2)) return refuse()
  const [day, month, year] = { dmy: [first, second, third], mdy: [second, first, third], ymd: [third, second, first] }[
    by
  ]
  return { day: Number(day), month: Number(month), year: fullYear(year ?? '') }
}

/** Two digits as spreadsheets take them: up to 29 of this century. */
const fullYear = (digits: string): number =>
  digits.length === 4 ? Number(digits) : Number(digits) + (Number(digits) < 30 ? 2000 : 1900)

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const monthNames = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]

function wordsOf([, day, word, year, otherWord, otherDay, otherYear]: RegExpExecArray): Day {
  const name = (word ?? otherWord ?? '').toLowerCase()
  const month = months.indexOf(name === 'sept' ? 'sep' : name.slice(0, 3)) + 1
  const whole = name === 'sept' || name.length === 3 || monthNames[month - 1] === name
  if (month === 0 || !whole) return refuse()
  return { day: Number(day ?? otherDay), month, year: Number(year ?? otherYear) }
}

/** What the cells of a column say of the order of its dates. */
export interface DateEvidence {
  /** Cells that are a day in that order. */
  dmy: number
  mdy: number
  ymd: number
  /** Cells with dots between, as in Europe. */
  dotted: number
  seen: number
}

/** Adds what a cell says. */
export function weighDate(evidence: DateEvidence, cell: unknown): void {
  if (typeof cell !== 'string') return
  const [, first = '', separator, second = '', third = ''] = dayShape.exec(cell.trim()) ?? []
  if (separator === undefined) return
  evidence.seen++
  if (separator === '.') evidence.dotted++
  const [a, b, c] = [Number(first), Number(second), Number(third)]
  const fits = (day: number, month: number) => day >= 1 && day <= 31 && month >= 1 && month <= 12
  if (first.length > 2) {
    if (fits(c, b)) evidence.ymd++
    return
  }
  if (fits(a, b)) evidence.dmy++
  if (fits(b, a)) evidence.mdy++
  if (third.length <= 2 && fits(c, b)) evidence.ymd++
}

/**
 * The order that most cells of a column fit. When several fit equally well: day first with dots between, else as in the
 * tenant's language, month first in American English.
 */
export function dateOrderOf(evidence: DateEvidence, locale: string): DateOrder {
  const usual: DateOrder = evidence.dotted > evidence.seen / 2 ? 'dmy' : /^en(-US|-PH)?$/i.test(locale) ? 'mdy' : 'dmy'
  const orders: readonly DateOrder[] = [usual, usual === 'mdy' ? 'dmy' : 'mdy', 'ymd']
  return orders.reduce((best, order) => (evidence[order] > evidence[best] ? order : best))
}
