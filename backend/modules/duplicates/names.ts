import { distance } from '../../kernel/distance.ts'
import { withoutStrokes } from '../../kernel/letters.ts'

/** The words of a name without case, accents and, for an organisation, its legal form; sorted, so that order is nothing. */
export function nameWords(name: string, of: 'person' | 'organisation'): string[] {
  const words = [...folded(name).matchAll(/[\p{L}\p{N}]+/gu)].map(([word]) => word)
  if (of === 'person') return words.sort()
  const proper = words.filter((word) => !legalForms.has(word))
  return (proper.length > 0 ? proper : words).sort()
}

/** How a word sounds: its consonants by their classes, as in Soundex but of the whole word. */
export function soundOf(word: string): string {
  let sound = ''
  for (const [index, letter] of [...word].entries()) {
    const code = classes[letter] ?? (/[a-z]/.test(letter) ? (index === 0 ? '0' : '') : letter)
    if (code !== sound.at(-1)) sound += code
  }
  return sound
}

/** Whether two names differ by no more letters than a slip of the pen: none in short ones, three in long ones. */
export function isSimilar(a: string, b: string): boolean {
  const longest = Math.max(a.length, b.length)
  const allowed = longest < 5 ? 0 : longest < 9 ? 1 : longest < 14 ? 2 : 3
  return distance(a, b, allowed) <= allowed
}

const folded = (text: string): string =>
  withoutStrokes(
    text
      .toLowerCase()
      .normalize('NFKD')
      .replace(/[\p{M}.'’ʼ]/gu, ''),
  ).normalize('NFKC')

/** Dots have gone by now: `S.A.` is `sa`. */
const legalForms = new Set(
  (
    'ab ag aps as asa bv bvba co company corp corporation doo ek eg ev gbr gmbh gmbhcokg inc incorporated kft kg kgaa kk lda ' +
    'limited llc llp lp ltd ltda mbh nv ohg oy oyj plc pte pty pvt sa sarl sas sasu se sl slu spa spol spzoo sro srl ug ' +
    'zrt and und et y the'
  ).split(' '),
)

const classes: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({ bfpv: '1', cgjkqsxz: '2', dt: '3', l: '4', mn: '5', r: '6' }).flatMap(([letters, code]) =>
    [...letters].map((letter) => [letter, code]),
  ),
)
