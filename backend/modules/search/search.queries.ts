import sql, { raw } from 'sql-template-tag'
import type { Tx, WorkerTx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'

/** A document that may be an answer, as the index knows it. */
export interface Candidate {
  readonly type: string
  readonly id: string
  readonly score: number
  readonly ownerId: string | null
  readonly tags: readonly string[]
}

/** What is asked of the documents of one type; the queries are texts of tsqueries. */
export interface Wanted {
  readonly type: string
  /** Whose records the caller may see; null: everybody's. */
  readonly holders: readonly string[] | null
  /** What the index is asked; null: the newest are enough. */
  readonly pick: string | null
  /** What a document must have; null: no words were typed. */
  readonly full: string | null
  /** What lifts it. */
  readonly exact: string | null
}

/** What a search is narrowed to. */
export interface Filters {
  readonly tags?: readonly string[] | undefined
  readonly ownerId?: string | undefined
  readonly assigneeId?: string | undefined
  readonly createdAfter?: string | undefined
  readonly createdBefore?: string | undefined
}

export const sorts = ['relevance', 'updatedAt', '-updatedAt', 'createdAt', '-createdAt', 'title', '-title'] as const
export type Sort = (typeof sorts)[number]

/** At most 201 candidates in the order of `sort`; one more than is ever shown tells that there are others. */
export async function selectCandidates(
  tx: Tx,
  wanted: readonly Wanted[],
  words: readonly string[],
  rare: boolean,
  title: string,
  filters: Filters,
  sort: Sort,
): Promise<Candidate[]> {
  const [row] = await tx.query<{ lines: string | null; tags: string }>({
    name: 'search_candidates',
    text: `select string_agg(concat_ws(' ', c.type, c.record_id, c.score, c.owner_id), E'\\n') as lines,
                  string_agg(array_to_json(c.tags)::text, ',') as tags
           from search_candidates($1::jsonb, $2::text[], $3::boolean, $4::text, $5::jsonb, $6::text) c`,
    values: [JSON.stringify(wanted), words, rare, title, JSON.stringify(filters), sort],
  })
  return row?.lines ? readLines(row.lines, row.tags) : []
}

/** 200 rows of five values cost the driver three times as much as two texts, and as JSON they cost PostgreSQL more. */
function readLines(lines: string, tags: string): Candidate[] {
  const lists: string[][] = JSON.parse(`[${tags}]`)
  return lines.split('\n').map((line, index) => {
    const [type = '', id = '', score = '', ownerId = null] = line.split(' ')
    return { type, id, score: Number(score), ownerId, tags: lists[index] ?? [] }
  })
}

/** A word of the vocabulary that may be meant by one that was typed. */
export interface NearWord {
  readonly wanted: string
  readonly word: string
  readonly documents: number
}

/** Words of the vocabulary that are roughly near; the caller counts the edits. A word that is known comes with itself. */
export async function selectNearWords(tx: Tx, words: readonly string[], edits: readonly number[]): Promise<NearWord[]> {
  return tx.query<NearWord>({
    name: 'search_near',
    text: `select w.word as wanted, n.word, n.documents
           from unnest($1::text[], $2::integer[]) w(word, edits) cross join lateral search_near(w.word, w.edits) n`,
    values: [words, edits],
  })
}

/** How many documents of each type a tenant has, counted to 10,001. */
export async function countDocuments(tx: Tx, types: readonly string[]): Promise<{ type: string; documents: number }[]> {
  return tx.query(sql`
    select t.type, (select count(*)::integer from (
      select 1 from search_documents d
      where d.tenant_id = ${tx.ctx.tenantId} and d.type = t.type and not d.deleted limit 10001) d) as documents
    from unnest(${types}::text[]) t(type)`)
}

/** Since when the oldest event that the search has not seen waits, in each lane. */
export async function readWaiting(tx: WorkerTx): Promise<{ lane: number; since: string | null }[]> {
  return tx.query(sql`
    select c.lane, (
      select ${raw(timeSql('e.occurred_at'))} from events e
      where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq) order by e.tx, e.seq limit 1) as since
    from event_cursors c where c.subscription = 'search' order by c.lane`)
}

/** How many events of a tenant the search has put aside, counted to 1,000. */
export async function countParked(tx: WorkerTx, tenantId: string): Promise<number> {
  const [row] = await tx.query<{ parked: number }>(sql`
    select count(*)::integer as parked from (
      select 1 from parked_events p where p.tenant_id = ${tenantId} and p.subscription = 'search' limit 1000) p`)
  return row?.parked ?? 0
}

/** Forgets documents of records that were deleted long ago, as no event of theirs is still to come; at most 10,000 at once. */
export async function dropTombstones(tx: WorkerTx, dryRun = false): Promise<{ documents: number }> {
  const [row] = await tx.query(
    dryRun
      ? sql`select count(*)::integer as documents from search_documents
            where deleted and updated_at < now() - interval '90 days'`
      : sql`
        with gone as (
          delete from search_documents d using (
            select tenant_id, type, record_id from search_documents
            where deleted and updated_at < now() - interval '90 days' limit 10000) old
          where d.tenant_id = old.tenant_id and d.type = old.type and d.record_id = old.record_id and d.deleted
          returning 1)
        select count(*)::integer as documents from gone`,
  )
  return { documents: row?.documents ?? 0 }
}
