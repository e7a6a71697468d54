/**
 * How many edits make one word of the other: letters put in, left out or replaced, and neighbours exchanged (optimal
 * string alignment). More than `most` is answered as `most + 1`.
 */
export function distance(from: string, to: string, most: number): number {
  const a = [...from]
  const b = [...to]
  if (Math.abs(a.length - b.length) > most) return most + 1
  let older: number[] = []
  let old = Array.from({ length: b.length + 1 }, (_value, index) => index)
  for (const [i, letter] of a.entries()) {
    const row = [i + 1]
    for (const [j, other] of b.entries()) {
      const replaced = at(old, j) + (letter === other ? 0 : 1)
      const exchanged = i > 0 && j > 0 && letter === b[j - 1] && a[i - 1] === other ? at(older, j - 1) + 1 : replaced
      row.push(Math.min(at(old, j + 1) + 1, at(row, j) + 1, replaced, exchanged))
    }
    if (Math.min(...row) > most) return most + 1
    older = old
    old = row
  }
  return Math.min(at(old, b.length), most + 1)
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY
