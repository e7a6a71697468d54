import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { searchedFields } from './document.ts'
import { createHighlighter, type Highlighter } from './highlight.ts'
import { type LiveRecord, readRecords } from './records.queries.ts'
import type { Candidate, Filters } from './search.queries.ts'
import { seenLive } from './seen.ts'

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
  const highlighter = createHighlighter(asked.words, asked.meant)
  const hits: Hit[] = []
  const gone: Candidate[] = []
  for (let at = asked.offset; at < candidates.length && hits.length < limit; ) {
    const some = candidates.slice(at, at + limit - hits.length)
    at += some.length
    const records = await readAll(tx, entities, some)
    for (const candidate of some) {
      const entity = entities.get(candidate.type)
      const live = records.get(candidate.id)
      if (entity && live && fits(live.record, filters))
        hits.push(hitOf(entities, entity, candidate, seenLive(tx.ctx.rights, entity, live), highlighter))
      else gone.push(candidate)
    }
  }
  return { hits, gone }
}

/** One query for each type on the page. */
async function readAll(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  wanted: readonly Candidate[],
): Promise<Map<string, LiveRecord>> {
  const types = [...new Set(wanted.map(({ type }) => type))]
  const read = await Promise.all(
    types.map((type) => {
      const entity = entities.get(type)
      const ids = wanted.filter((item) => item.type === type).map(({ id }) => id)
      return entity ? readRecords(tx, entities, entity, ids) : []
    }),
  )
  return new Map(read.flat().map((live) => [live.id, live]))
}

/** What the search was narrowed to may have changed since the document was written. */
function fits(record: Values, { tags, ownerId, assigneeId }: Filters): boolean {
  if (ownerId !== undefined && record.ownerId !== ownerId) return false
  if (assigneeId !== undefined && !textsOf(record.assigneeIds).includes(assigneeId)) return false
  return tags === undefined || textsOf(record.tags).some((tag) => tags.includes(tag))
}

function hitOf(
  entities: ReadonlyMap<string, Entity>,
  entity: Entity,
  candidate: Candidate,
  { record, target }: LiveRecord,
  highlighter: Highlighter,
): Hit {
  const title = entity.title(record)
  const highlights: Record<string, string[]> = {}
  for (const { name } of searchedFields(entity)) {
    const texts = textsOf(record[name]).filter((text) => text !== title)
    const marked = texts.map(highlighter).filter((html) => html !== null)
    if (marked.length > 0) highlights[name] = marked.slice(0, 3)
  }
  const marked = highlighter(title)
  if (marked !== null) highlights.title = [marked]
  const pointer = entity.subtitle === undefined ? undefined : entity.all[entity.subtitle]
  return {
    type: candidate.type,
    id: candidate.id,
    title,
    subtitle: target ? (entities.get(pointer?.ref ?? '')?.title(target) ?? null) : null,
    score: Math.round(candidate.score * 1000) / 1000,
    highlights,
    tags: textsOf(record.tags),
    updatedAt: String(record.updatedAt),
  }
}

const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === 'string')
