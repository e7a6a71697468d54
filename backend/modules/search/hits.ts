import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { createHighlighter, type Highlighter } from './highlight.ts'
import { type LiveRecord, readRecords } from './records.queries.ts'
import type { Candidate, Filters } from './search.queries.ts'

/** An answer of the search, as the API shows it. */
export interface Hit {
  readonly type: string
  readonly id: string
  readonly title: string
  readonly subtitle: string | null
  readonly score: number
  readonly highlights: Readonly<Record<string, readonly string[]>>
  readonly tags: readonly string[]
  readonly updatedAt: string
}

/** A page of hits, and the candidates that turned out to be none. */
export interface Page {
  readonly hits: readonly Hit[]
  readonly gone: readonly Candidate[]
}

/**
 * Makes a page of candidates by holding each against its record as it is now: the index is a moment behind, and what was
 * deleted, renamed or given away must show at once. The gaps are filled from the candidates that follow.
 */
export async function readPage(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  candidates: readonly Candidate[],
  asked: { offset: number; limit: number; filters: Filters; words: readonly string[]; meant: readonly string[] },
): Promise<Page> {
  const { limit, filters } = asked
  const found: { candidate: Candidate; record: LiveRecord }[] = []
  const gone: Candidate[] = []
  for (let at = asked.offset; at < candidates.length && found.length < limit; ) {
    const some = candidates.slice(at, at + limit - found.length)
    at += some.length
    const records = await readAll(tx, entities, some)
    for (const candidate of some) {
      const record = records.get(`${candidate.type} ${candidate.id}`)
      if (record && fits(record, filters)) found.push({ candidate, record })
      else gone.push(candidate)
    }
  }
  const subtitles = await readSubtitles(tx, entities, found)
  const highlighter = createHighlighter(asked.words, asked.meant)
  const hits = found.flatMap(({ candidate, record }) => {
    const entity = entities.get(candidate.type)
    return entity ? [hitOf(entity, candidate, record, subtitles.get(candidate.id) ?? null, highlighter)] : []
  })
  return { hits, gone }
}

type Records = Map<string, LiveRecord>

/** One query for each type on the page. */
async function readAll(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  wanted: readonly { type: string; id: string }[],
): Promise<Records> {
  const types = [...new Set(wanted.map(({ type }) => type))]
  const read = await Promise.all(
    types.map(async (type) => {
      const entity = entities.get(type)
      if (!entity) return []
      const ids = wanted.filter((item) => item.type === type).map(({ id }) => id)
      return [...(await readRecords(tx, entity, ids))].map(([id, record]) => [`${type} ${id}`, record] as const)
    }),
  )
  return new Map(read.flat())
}

/** What the search was narrowed to may have changed since the document was written. */
function fits(record: LiveRecord, { tags, ownerId, assigneeId }: Filters): boolean {
  if (ownerId !== undefined && record.ownerId !== ownerId) return false
  if (assigneeId !== undefined && !textsOf(record.assigneeIds).includes(assigneeId)) return false
  return tags === undefined || textsOf(record.tags).some((tag) => tags.includes(tag))
}

/** The titles of the records that the hits point at, as far as the caller may read them. */
async function readSubtitles(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  found: readonly { candidate: Candidate; record: LiveRecord }[],
): Promise<Map<string, string>> {
  const pointers = found.flatMap(({ candidate, record }) => {
    const entity = entities.get(candidate.type)
    const member = entity?.subtitle
    const type = member === undefined ? undefined : entity?.all[member]?.ref
    const id = member === undefined ? undefined : record[member]
    return type !== undefined && typeof id === 'string' ? [{ from: candidate.id, type, id }] : []
  })
  const records = await readAll(tx, entities, pointers)
  return new Map(
    pointers.flatMap(({ from, type, id }) => {
      const record = records.get(`${type} ${id}`)
      const entity = entities.get(type)
      return record && entity ? [[from, entity.title(record)] as const] : []
    }),
  )
}

function hitOf(
  entity: Entity,
  candidate: Candidate,
  record: LiveRecord,
  subtitle: string | null,
  highlighter: Highlighter,
): Hit {
  const title = entity.title(record)
  const marked = Object.entries(entity.all).flatMap(([name, field]) => {
    const texts = field.searched ? textsOf(record[name]).filter((text) => text !== title) : []
    const highlights = texts.map(highlighter).filter((html) => html !== null)
    return highlights.length > 0 ? [[name, highlights.slice(0, 3)] as const] : []
  })
  const ofTitle = highlighter(title)
  return {
    type: candidate.type,
    id: candidate.id,
    title,
    subtitle,
    score: Math.round(candidate.score * 1000) / 1000,
    highlights: { ...Object.fromEntries(marked), ...(ofTitle === null ? {} : { title: [ofTitle] }) },
    tags: textsOf(record.tags),
    updatedAt: String(record.updatedAt),
  }
}

const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === 'string')
