import { invalidMember } from '../../kernel/errors.ts'
import { plainText, wordsOf } from './words.ts'

/** What somebody typed, taken apart. */
export interface Question {
  /** Plain words, each once; none when only punctuation was typed, which nothing answers. */
  readonly words: readonly string[]
  /** The whole as titles are compared. */
  readonly title: string
}

/** Takes `q` apart; null when there is nothing in it. */
export function readQuestion(q: string): Question | null {
  const text = q.trim()
  if (text === '') return null
  if (text.length > longest) throw invalidMember('q', `must have at most ${longest} characters`)
  if (text.includes('\0')) throw invalidMember('q', 'must not contain a NUL character')
  return { words: [...new Set(wordsOf(text).map(({ forms }) => forms[0]))], title: plainText(text) }
}

const longest = 200

/** The words that the index is asked for: all must match in the end, and a few long ones find them sooner than many short. */
export function telling(words: readonly string[]): string[] {
  const long = words.filter((word) => word.length > 2 || /[^a-z0-9]/.test(word))
  return (long.length > 0 ? long : [...words]).toSorted((a, b) => b.length - a.length).slice(0, 6)
}

/** Whether the vocabulary counts a word (`search_vocabulary` of the migration says the same). */
export const isCounted = (word: string): boolean => lettersOf(word) <= 24 && !/[0-9]/.test(word)

/** How many edits a word may be off: one from 4 letters on, two from 8 on. Numbers must be right. */
export function editsIn(word: string): number {
  const letters = lettersOf(word)
  if (letters < 4 || !isCounted(word)) return 0
  return letters < 8 ? 1 : 2
}

const lettersOf = (word: string): number => [...word].length
