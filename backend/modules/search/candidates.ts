import type { Tx } from '../../kernel/db/database.ts'
import { distance } from '../../kernel/distance.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { granteesOf, type Scope } from '../../kernel/rights.ts'
import { holderMark, keyOf, quoted, tagMark } from './document.ts'
import { editsIn, isCounted, type Question, telling } from './question.ts'
import {
  type Candidate,
  type Filters,
  type NearWord,
  type Sort,
  selectCandidates,
  selectNearWords,
  type Wanted,
} from './search.queries.ts'
import { hides, onlySeen } from './seen.ts'

/** What is searched, among which types, narrowed to what, in which order. */
export interface Wish {
  readonly question: Question | null
  readonly types: readonly string[]
  readonly filters: Filters
  readonly sort: Sort
}

/** What was found, in order, and by which words: those that were typed (as beginnings) and those that were meant. */
export interface Found {
  readonly candidates: readonly Candidate[]
  readonly words: readonly string[]
  readonly meant: readonly string[]
}

/** How many candidates are ever looked at. */
export const mostCandidates = 200

/** Below this many answers, words that were perhaps typed wrong are looked for too. */
const tooLittle = 5

/**
 * Finds candidates among what the caller may read: by words and beginnings of words, and if need be by what was meant. By
 * tags it finds only what has tags for him.
 */
export async function findCandidates(tx: Tx, entities: ReadonlyMap<string, Entity>, wish: Wish): Promise<Found> {
  const { candidates, words, meant } = await findSeen(tx, entities, wish)
  const { rights } = tx.ctx
  const tagged = candidates.map((one) => (hides(rights, one.type, 'tags') ? { ...one, tags: [] } : one))
  return { candidates: tagged, words, meant }
}

/** What else is looked for hangs on what the caller sees of it: on more it would tell what is hidden. */
async function findSeen(tx: Tx, entities: ReadonlyMap<string, Entity>, wish: Wish): Promise<Found> {
  const { question, types, filters, sort } = wish
  const words = question?.words ?? []
  const { rights } = tx.ctx
  const narrowable = types.filter((type) => !filters.tags || !hides(rights, type, 'tags'))
  const readable = narrowable.filter((type) => reachesSome(rights.scope(type, 'read')))
  if (readable.length === 0 || (question && words.length === 0)) return { candidates: [], words, meant: [] }
  const wanted = (groups: readonly Group[]) => readable.map((type) => wantedOf(tx, type, groups, filters))
  const groups = words.map((word) => ({ word, near: [] }))
  const asked = telling(words)
  const matching = await selectCandidates(
    tx,
    wanted(groups),
    asked.filter(isCounted),
    asked.some((word) => /[0-9]/.test(word) && word.length > 4),
    question?.title ?? '',
    filters,
    sort,
  )
  const found = await onlySeen(tx, entities, matching, groups, sort)
  if (words.length === 0 || found.length >= tooLittle) return { candidates: found, words, meant: [] }
  const loose = await loosened(tx, words, found.length > 0)
  const meant = loose.flatMap(({ near }) => near.map(({ word }) => word))
  if (meant.length === 0) return { candidates: found, words, meant }
  const rare = loose.some(
    ({ near }) => near.length > 0 && near.reduce((sum, { documents }) => sum + documents, 0) <= 2000,
  )
  const nearly = await selectCandidates(tx, wanted(loose), [], rare, '', filters, sort)
  const more = await onlySeen(tx, entities, nearly, loose, sort)
  return { candidates: sort === 'relevance' ? merged(found, more) : more, words, meant }
}

/** A word that was typed, and words of the vocabulary that may have been meant. */
interface Group {
  readonly word: string
  readonly near: readonly NearWord[]
}

const mostNear = 10
const mostDoubtful = 10

/** A word that the tenant uses is taken as right while the whole finds anything. */
async function loosened(tx: Tx, words: readonly string[], somethingFound: boolean): Promise<Group[]> {
  const doubtful = words.filter((word) => editsIn(word) > 0).slice(0, mostDoubtful)
  if (doubtful.length === 0) return []
  const rows = await selectNearWords(tx, doubtful, doubtful.map(editsIn))
  return words.map((word) => {
    const mine = rows.filter((row) => row.wanted === word)
    if (somethingFound && mine.some((row) => row.word === word)) return { word, near: [] }
    const near = mine
      .map((row) => ({ row, edits: distance(word, row.word, editsIn(word)) }))
      .filter(({ edits }) => edits > 0 && edits <= editsIn(word))
      .toSorted((a, b) => a.edits - b.edits || b.row.documents - a.row.documents)
    return { word, near: near.slice(0, mostNear).map(({ row }) => row) }
  })
}

/** What was typed comes before what was meant. */
function merged(found: readonly Candidate[], more: readonly Candidate[]): Candidate[] {
  const known = new Set(found.map(({ id }) => id))
  const lowest = Math.min(1, ...found.map(({ score }) => score))
  const others = more.filter(({ id }) => !known.has(id))
  return [...found, ...others.map((candidate) => ({ ...candidate, score: Math.min(lowest, candidate.score / 10) }))]
}

function wantedOf(tx: Tx, type: string, groups: readonly Group[], filters: Filters): Wanted {
  const key = keyOf(tx.ctx.tenantId, type)
  const lexeme = (text: string) => quoted(`${key}${text}`)
  const scope: Scope = tx.ctx.rights.scope(type, 'read')
  const holders = typeof scope === 'string' ? null : granteesOf(scope)
  const any = ({ word, near }: Group) => oneOf([`${lexeme(word)}:*`, ...near.map(({ word: other }) => lexeme(other))])
  const picked = telling(groups.map(({ word }) => word))
  const pick = [
    ...groups.filter(({ word }) => picked.includes(word)).map(any),
    ...(holders ? [oneOf(holders.map((id) => lexeme(holderMark(id))))] : []),
    ...(filters.tags ? [oneOf(filters.tags.map((tag) => lexeme(tagMark(tag))))] : []),
    ...[filters.ownerId, filters.assigneeId].flatMap((id) => (id === undefined ? [] : [lexeme(holderMark(id))])),
  ]
  return {
    type,
    holders,
    pick: allOf(pick),
    full: allOf(groups.map(any)),
    exact: allOf(groups.map(({ word }) => lexeme(word))),
  }
}

const reachesSome = (scope: Scope): boolean => scope !== 'none' && (scope === 'all' || granteesOf(scope).length > 0)

const oneOf = (lexemes: readonly string[]): string => `(${lexemes.join(' | ')})`

const allOf = (parts: readonly string[]): string | null => (parts.length === 0 ? null : parts.join(' & '))
