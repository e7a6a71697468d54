import { wordsOf } from './words.ts'

/** Gives a text as HTML with `<mark>` around what matches, cut around the first match when it is long; null without any. */
export type Highlighter = (text: string) => string | null

/** Marks words that begin with what was typed, and words that were meant. */
export function createHighlighter(typed: readonly string[], meant: readonly string[]): Highlighter {
  const exact = new Set(meant)
  const matches = (form: string) => exact.has(form) || typed.some((word) => form.startsWith(word))
  const needles = [...typed, ...meant]
  return (text) => {
    // Most texts of a page hold none of the words, and taking them apart costs more than all else.
    if (simple.test(text) && !needles.some((needle) => text.toLowerCase().includes(needle))) return null
    const spans = joined(wordsOf(text).filter(({ forms }) => forms.some(matches)))
    const [first] = spans
    if (!first) return null
    const { from, to } = windowOf(text, first)
    const shown = spans.filter((span) => span.start >= from && span.end <= to)
    let html = from > 0 ? '…' : ''
    let at = from
    for (const { start, end } of shown) {
      html += `${escaped(text.slice(at, start))}<mark>${escaped(text.slice(start, end))}</mark>`
      at = end
    }
    return `${html}${escaped(text.slice(at, to))}${to < text.length ? '…' : ''}`
  }
}

/** Text that is its own plain form but for capitals. */
const simple = /^[\s!-&(-~]*$/

interface Span {
  readonly start: number
  readonly end: number
}

/** Pairs of a script without spaces overlap. */
function joined(words: readonly Span[]): Span[] {
  const spans: { start: number; end: number }[] = []
  for (const { start, end } of words) {
    const last = spans.at(-1)
    if (last && start <= last.end && start < end && last.end > start) last.end = Math.max(last.end, end)
    else spans.push({ start, end })
  }
  return spans
}

const longest = 200
const before = 60

/** A piece of a long text around its first match, cut at white space where there is some near. */
function windowOf(text: string, first: Span): { from: number; to: number } {
  if (text.length <= longest) return { from: 0, to: text.length }
  const start = Math.max(0, first.start - before)
  const space = start === 0 ? 0 : text.slice(start, first.start).search(/\s/) + 1
  const from = whole(text, start + space)
  const end = Math.max(first.end, Math.min(text.length, from + longest))
  const cut = end === text.length ? end : Math.max(first.end, from + text.slice(from, end).search(/\s\S*$/))
  return { from, to: whole(text, cut) }
}

/** Not between the halves of a surrogate pair. */
const whole = (text: string, index: number): number => (/[\udc00-\udfff]/.test(text.charAt(index)) ? index - 1 : index)

const escaped = (text: string): string => text.replace(/[&<>"']/g, (letter) => entities[letter] ?? letter)

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
