/** A cell cannot be what its column says; the message is for who made the table. */
export class CellError extends Error {
  override readonly name = 'CellError'
}

/** A cell as text. A whole number of a spreadsheet has no fraction, a date no time that nobody gave. */
export function textOf(cell: unknown): string {
  if (typeof cell === 'string') return cell
  if (typeof cell === 'number' || typeof cell === 'boolean') return String(cell)
  if (cell instanceof Date) return isoOf(cell)
  throw new CellError('must be text')
}

/** A date cell of a spreadsheet: its day, and its time unless it is midnight. */
export function isoOf(cell: Date): string {
  if (Number.isNaN(cell.getTime())) throw new CellError('must be a date')
  const text = cell.toISOString()
  return text.endsWith('T00:00:00.000Z') ? text.slice(0, 10) : text.slice(0, 19).replace('T', ' ')
}
