import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { distance } from './distance.ts'
import { createHighlighter } from './highlight.ts'
import { plainText, wordsOf } from './words.ts'

const forms = (text: string) => wordsOf(text).map((word) => word.forms)

describe('words', () => {
  test.each([
    ['Zoë BRONTË', [['zoe'], ['bronte']]],
    ['e\u0301cole', [['ecole']]],
    ['Łódź, Straße & Ærø', [['lodz'], ['strasse'], ['aero']]],
    ['ΟΔΥΣΣΕΥΣ Οδυσσεύς', [['οδυσσευσ'], ['οδυσσευσ']]],
    ['İstanbul', [['istanbul']]],
    ["O'Brien’s", [['obriens', 'o', 'brien', 's']]],
    ['ada.l@engines.example.com', [['ada'], ['l'], ['engines'], ['example'], ['com']]],
    ['株式会社', [['株式'], ['式会'], ['会社', '社']]],
    ['東', [['東']]],
    ['한국 हिन्दी', [['한국'], ['हिन्दी']]],
    ['１２３ ﬁne', [['123'], ['fine']]],
    ["🎉 -- '' \ud800 \0", []],
  ])('of %j are known by their plain forms', (text, expected) => {
    expect(forms(text)).toEqual(expected)
  })

  test('stay the same when they are made plain again, and however their accents are encoded', () => {
    // Latin, accents on their own, Greek and Cyrillic.
    const letter = fc.integer({ min: 0x20, max: 0x52f }).map((code) => String.fromCodePoint(code))
    fc.assert(
      fc.property(fc.string({ unit: letter }), (text) => {
        const once = plainText(text)
        expect(plainText(once)).toBe(once)
        expect(plainText(text.normalize('NFD'))).toBe(plainText(text.normalize('NFC')))
      }),
      { numRuns: 1000 },
    )
  })
})

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

describe('highlights', () => {
  const mark = (text: string, typed: string[], meant: string[] = []) => createHighlighter(typed, meant)(text)

  test('mark the words that begin with what was typed, and those that were meant', () => {
    expect(mark('Ada Lovelace', ['ada'])).toBe('<mark>Ada</mark> Lovelace')
    expect(mark('Ada Lovelace', ['lov'])).toBe('Ada <mark>Lovelace</mark>')
    expect(mark('Zoë', ['zeo'], ['zoe'])).toBe('<mark>Zoë</mark>')
    expect(mark('株式会社東京', ['会社'])).toBe('株式<mark>会社</mark>東京')
    expect(mark('Ada', ['bob'])).toBe(null)
  })

  test('escape everything else', () => {
    expect(mark('<b>"Ada" & \'Bob\'</b>', ['ada'])).toBe(
      '&lt;b&gt;&quot;<mark>Ada</mark>&quot; &amp; &#39;Bob&#39;&lt;/b&gt;',
    )
  })

  test('show a long text around its first match', () => {
    const text = `${'before '.repeat(100)}needle ${'🎉after '.repeat(100)}`
    const html = mark(text, ['needle']) ?? ''
    expect(html).toMatch(/^…before .*<mark>needle<\/mark> .*after…$/)
    expect(html.length).toBeLessThan(250)
    expect(html.isWellFormed()).toBe(true)
  })
})
