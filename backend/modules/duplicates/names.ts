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
  return Math.abs(a.length - b.length) <= allowed && distance(a, b) <= allowed
}

function folded(text: string): string {
  return text
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\p{M}.'’ʼ]/gu, '')
    .replace(/[ßæœøđðþłħı]/g, (letter) => withoutStroke[letter] ?? '')
    .normalize('NFKC')
}

/** Letters that Unicode does not take apart. */
const withoutStroke: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
}

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

/** Letters left out, put in, exchanged or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_none, place) => place)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}
