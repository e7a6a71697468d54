/**
 * The words of a text: letters and digits only, lower-case, without accents. The timeline and its search both cut with
 * it, so that no rule of PostgreSQL's text search has to be known.
 */
export function wordsOf(text: string): string[] {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  const words = plain.match(/[\p{L}\p{N}]+/gu) ?? []
  return [...new Set(words.map((word) => [...word].slice(0, longest).join('')))]
}

/** The words of a tenant's text as the index holds them. */
export const lexemesOf = (tenantId: string, text: string): string[] =>
  wordsOf(text).map((word) => `${markOf(tenantId)}${word}`)

/** A tsquery for all words of a question, the last of which may be the beginning of one; null when it has no word. */
export function queryOf(tenantId: string, question: string): string | null {
  const lexemes = lexemesOf(tenantId, question)
  if (lexemes.length === 0) return null
  const unfinished = isUnfinished(question)
  return lexemes
    .map((lexeme, index) => `'${lexeme}'${unfinished && index === lexemes.length - 1 ? ':*' : ''}`)
    .join(' & ')
}

/** Whether a text has all words of a question, the last of which may be the beginning of one. */
export function matches(question: string, text: string): boolean {
  const words = wordsOf(text)
  const asked = wordsOf(question)
  return asked.every((word, index) =>
    index === asked.length - 1 && isUnfinished(question)
      ? words.some((one) => one.startsWith(word))
      : words.includes(word),
  )
}

const isUnfinished = (question: string): boolean => /[\p{L}\p{N}\p{M}]$/u.test(question)

const longest = 64

/** Not the first digits of the id: they are the time at which the tenant was made. */
const markOf = (tenantId: string): string => tenantId.slice(-8)
