import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { distance } from './distance.ts'

describe('edits', () => {
  test.each([
    ['jonathan', 'jonathan', 0],
    ['jonathan', 'jonahtan', 1],
    ['jonathan', 'jonathn', 1],
    ['jonathan', 'jonatthan', 1],
    ['jonathan', 'jonaphan', 1],
    ['jonathan', 'ojnatahn', 2],
    ['abc', 'xyz', 3],
    ['abc', 'abcdef', 3],
    ['', 'ab', 2],
  ])('from %s to %s are %i', (from, to, expected) => {
    expect(distance(from, to, 2)).toBe(expected)
  })

  test('are the same in both directions, and one for each edit that is made', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abcd'), minLength: 2, maxLength: 9 })
    fc.assert(
      fc.property(word, fc.nat(), fc.constantFrom(...'abcd'), (from, place, letter) => {
        const at = place % from.length
        const left = from.slice(0, at)
        const right = from.slice(at)
        const edits = [
          left + letter + right,
          left + right.slice(1),
          left + letter + right.slice(1),
          left + right.charAt(1) + right.charAt(0) + right.slice(2),
        ]
        for (const to of edits) {
          expect(distance(from, to, 2)).toBeLessThanOrEqual(1)
          expect(distance(to, from, 2)).toBe(distance(from, to, 2))
        }
      }),
    )
  })
})
