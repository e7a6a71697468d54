import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
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
    ['\u037a\u0483', []],
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
