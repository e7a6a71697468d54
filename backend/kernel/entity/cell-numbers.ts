import { CellError, textOf } from './cell-text.ts'

/** The character that stands before the fraction. */
export type Decimal = '.' | ','

/** A number as spreadsheets write it: `13938.0`, `$1,234.50`, `1.234,50 €`, `(12)`, `45 %`, `1.2E+3`. */
export function readNumber(cell: unknown, decimal: Decimal): number {
  if (typeof cell === 'number') return cell
  const bare = bareOf(textOf(cell))
  const plain = decimal === ',' ? bare.replaceAll('.', '').replace(',', '.') : bare.replaceAll(',', '')
  const number = Number(plain)
  if (!shape[decimal].test(bare) || !Number.isFinite(number)) throw new CellError('must be a number')
  return number
}

const shape: Readonly<Record<Decimal, RegExp>> = {
  '.': /^-?(\d+|\d{1,3}(,\d{3})+|\d{1,2}(,\d{2})+,\d{3})?(\.\d*)?(e[+-]?\d+)?$/i,
  ',': /^-?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?(e[+-]?\d+)?$/i,
}

/** Without what stands around the digits: signs of currencies and codes, blanks and apostrophes of thousands, percent. */
function bareOf(text: string): string {
  const negative = /^\(.*\)$/.test(text)
  const bare = text
    .replace(/^\((.*)\)$/, '$1')
    .replaceAll(/[\s\p{Sc}'’%]/gu, '')
    .replace('−', '-')
    .replace(/^(-?)[A-Z]{3}(?=[-\d.,])/i, '$1')
    .replace(/(?<=[\d.,])[A-Z]{3}$/i, '')
    .replace(/^(.*\d)-$/, '-$1')
  if (!/\d/.test(bare)) throw new CellError('must be a number')
  return negative ? `-${bare}` : bare
}

/** What the cells of a column say of its decimal separator. */
export interface NumberEvidence {
  /** Cells that can only be read with the one, and with the other. */
  dot: number
  comma: number
}

/** Adds what a cell says; one that both could have written says nothing. */
export function weighNumber(evidence: NumberEvidence, cell: unknown): void {
  if (typeof cell !== 'string') return
  const found = /[\d.,]*[.,][\d.,]*/.exec(cell.replaceAll(/[\s'’]/g, ''))?.[0]
  if (found === undefined) return
  const dot = shape['.'].test(found)
  const comma = shape[','].test(found)
  if (dot && !comma) evidence.dot++
  if (comma && !dot) evidence.comma++
}

/** The separator of a column: a dot unless its cells speak against it. */
export const decimalOf = ({ dot, comma }: NumberEvidence): Decimal => (comma > dot ? ',' : '.')
