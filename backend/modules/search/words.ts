import { withoutStrokes } from '../../kernel/letters.ts'

/** A word of a text: the plain forms by which it is found, the usual one first, and where it stands. */
export interface Word {
  readonly forms: readonly [string, ...string[]]
  readonly start: number
  readonly end: number
}

/**
 * The words of a text without case and accents. Index, query, vocabulary and highlights all go through here, so they
 * cannot disagree; the rules of `unaccent` differ from one PostgreSQL to the next, and would outdate an index with it.
 */
export function wordsOf(text: string): Word[] {
  const words: Word[] = []
  for (const match of text.matchAll(token)) {
    const [whole, run] = match
    if (run !== undefined) words.push(...pairsOf(run, match.index))
    else {
      const forms = formsOf(whole)
      if (forms) words.push({ forms, start: match.index, end: match.index + whole.length })
    }
  }
  return words
}

/** A text as its plain words, for comparing whole titles. */
export const plainText = (text: string): string =>
  wordsOf(text)
    .map(({ forms }) => forms[0])
    .join(' ')

const unspaced = '\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}ー'
const spaced = `[[\\p{L}\\p{N}]--[${unspaced}]][[\\p{L}\\p{N}\\p{M}]--[${unspaced}]]*`

/** A run of a script that is written without spaces, or a run of letters and digits, perhaps with apostrophes inside. */
const token = new RegExp(`([${unspaced}][${unspaced}\\p{M}]*)|${spaced}(?:['’]${spaced})*`, 'gv')

/** `O'Brien` is found as `obrien`, as `brien` and as `o`. */
function formsOf(whole: string): Word['forms'] | null {
  const parts = /['’]/.test(whole) ? whole.split(/['’]/) : []
  const usual = plain(parts.length === 0 ? whole : parts.join(''))
  return usual === '' ? null : [usual, ...parts.map(plain).filter((part) => part !== '')]
}

/** Nothing says where a word ends in these scripts, so each two neighbours are one; the last also stands alone. */
function pairsOf(run: string, offset: number): Word[] {
  const characters = [...run]
  const words: Word[] = []
  let start = offset
  for (const [index, character] of characters.entries()) {
    const next = characters[index + 1]
    if (next === undefined && index > 0) break
    const single = plain(character) || character
    if (next === undefined) words.push({ forms: [single], start, end: start + character.length })
    else {
      const pair = `${single}${plain(next) || next}`
      const last = index === characters.length - 2
      words.push({
        forms: last ? [pair, plain(next) || next] : [pair],
        start,
        end: start + character.length + next.length,
      })
    }
    start += character.length
  }
  return words
}

const longest = 64

function plain(part: string): string {
  const small = part.toLowerCase()
  if (/^[a-z0-9]*$/.test(small)) return small.slice(0, longest)
  const letters = small
    .normalize('NFKD')
    // Once more: some capitals are only seen when they are taken apart.
    .toLowerCase()
    .replace(/[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]|[^\p{L}\p{N}\p{M}]/gu, '')
  // Of a letter that is an accent, as the iota subscript, nothing may be left but the marks on it: with them no word begins.
  const bare = withoutStrokes(letters)
    .normalize('NFKC')
    .replace(/^\p{M}+/u, '')
  return [...bare.slice(0, 2 * longest)].slice(0, longest).join('')
}
