import { hash } from 'node:crypto'

/** Texts that were seen, each as 6 bytes of its hash in a table of numbers: a million of them take 16 MiB. */
export interface KeySet {
  has(key: string): boolean
  add(key: string): void
}

/** What comes after so many is not remembered. */
const most = 2_000_000

/** A set of nothing yet. */
export function createKeySet(): KeySet {
  let table = new Float64Array(1_024)
  let size = 0

  /** Where a number stands, or the free place where it would. */
  const placeOf = (number: number): number => {
    let place = number % table.length
    while (table[place] !== 0 && table[place] !== number) place = (place + 1) % table.length
    return place
  }
  const grow = () => {
    const before = table
    table = new Float64Array(before.length * 2)
    for (const number of before) if (number !== 0) table[placeOf(number)] = number
  }

  return {
    has: (key) => table[placeOf(numberOf(key))] !== 0,
    add: (key) => {
      const number = numberOf(key)
      if (size >= most || table[placeOf(number)] !== 0) return
      size++
      table[placeOf(number)] = number
      if (size * 2 > table.length) grow()
    },
  }
}

/** Never zero, which is a free place. */
const numberOf = (key: string): number => hash('sha256', key, 'buffer').readUIntBE(0, 6) || 1
