/** What may stand between the cells of a text table. */
export const delimiters = [',', ';', '\t', '|'] as const

export type Delimiter = (typeof delimiters)[number]

/**
 * The character that cuts the first rows of a text into the most cells, each row into as many as the header; a comma when
 * nothing does.
 */
export function recogniseDelimiter(sample: string): Delimiter {
  const scores = delimiters.map((delimiter) => ({ delimiter, score: scoreOf(widthsOf(sample, delimiter)) }))
  return scores.reduce((best, one) => (one.score > best.score ? one : best)).delimiter
}

function scoreOf(widths: readonly number[]): number {
  const [header = 1] = widths
  if (header < 2) return 0
  const alike = widths.filter((width) => width === header).length / widths.length
  return alike * alike * (header + 1)
}

const rowsLookedAt = 50

/** How many cells each of the first rows has. The last of the sample may be cut off. */
function widthsOf(sample: string, delimiter: string): number[] {
  const widths: number[] = []
  let width = 1
  let quoted = false
  let blank = true
  for (const character of sample) {
    if (character === '"') quoted = !quoted
    else if (!quoted && character === delimiter) width++
    else if (!quoted && character === '\n') {
      if (!blank) widths.push(width)
      if (widths.length === rowsLookedAt) return widths
      ;[width, blank] = [1, true]
      continue
    }
    if (character !== '\r') blank = false
  }
  return widths.length === 0 ? [width] : widths
}
