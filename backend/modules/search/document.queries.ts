import type { Statement, WorkerTx } from '../../kernel/db/database.ts'
import type { Document } from './document.ts'

/**
 * Brings documents and vocabulary up to date in the transaction of `tx`. A document is only replaced by a newer version,
 * or by the same one when `again` is said.
 */
export async function writeDocuments(tx: WorkerTx, documents: readonly Document[], again = false): Promise<void> {
  if (documents.length === 0) return
  await lockTenants(tx, documents)
  for (const some of inPieces(documents)) await tx.query(written(some, again))
}

/** Takes documents out as if they had never been. */
export async function dropDocuments(tx: WorkerTx, keys: readonly DocumentKey[]): Promise<void> {
  if (keys.length === 0) return
  await lockTenants(tx, keys)
  await tx.query(dropped(keys))
}

export type DocumentKey = Pick<Document, 'tenant_id' | 'type' | 'record_id'>

/** As many documents a statement as fit well into a parameter: one can be a megabyte, and a batch has 500. */
function inPieces(documents: readonly Document[]): Document[][] {
  const pieces: Document[][] = [[]]
  let size = 0
  for (const document of documents) {
    size += document.tsv.length
    if (size > mostCharacters) {
      pieces.push([])
      size = document.tsv.length
    }
    pieces.at(-1)?.push(document)
  }
  return pieces.filter((piece) => piece.length > 0)
}

const mostCharacters = 4_000_000

/**
 * Both lanes and the calls of admins write here. Counting words under one lock a tenant, taken in one order, keeps the
 * counts exact, and lets no two of them wait for each other in a circle over words that both have.
 */
async function lockTenants(tx: WorkerTx, keys: readonly DocumentKey[]): Promise<void> {
  const tenants = [...new Set(keys.map((key) => key.tenant_id))]
  await tx.query({
    name: 'search_lock',
    text: `select pg_advisory_xact_lock(k.key) from (
             select hashtextextended('clientforge.search ' || t, 0) as key from unnest($1::text[]) t order by 1) k`,
    values: [tenants],
  })
}

const recordset = `jsonb_to_recordset($1::jsonb) as n(
      tenant_id uuid, type text, record_id uuid, version integer, deleted boolean, title_key text, tsv tsvector,
      owner_id uuid, assignee_ids uuid[], holders uuid[], tags text[], created_at timestamptz, updated_at timestamptz)`

/** The words that came and went, one row a word; the rows of documents are already locked by their tenant. */
const counted = `
    delta as (
      select w.tenant_id, w.word, sum(w.change)::integer as change from (
        select f.tenant_id, v.word, 1 as change from fresh f cross join lateral search_vocabulary(f.tsv) v(word)
        union all
        select o.tenant_id, v.word, -1 from old o cross join lateral search_vocabulary(o.tsv) v(word)) w
      group by w.tenant_id, w.word having sum(w.change) <> 0
    ), final as materialized (
      select d.tenant_id, d.word, d.change + coalesce((
        select s.documents from search_words s where s.tenant_id = d.tenant_id and s.word = d.word), 0) as documents
      from delta d
    ), vanished as (
      delete from search_words s using final f
      where f.documents <= 0 and s.tenant_id = f.tenant_id and s.word = f.word
    )
    insert into search_words (tenant_id, word, documents)
    select f.tenant_id, f.word, f.documents from final f where f.documents > 0 order by 1, 2
    on conflict (tenant_id, word) do update set documents = excluded.documents`

function written(documents: readonly Document[], again: boolean): Statement {
  return {
    name: 'search_write',
    text: `
    with fresh as materialized (
      select n.* from ${recordset}
      where not exists (
        select from search_documents d where d.tenant_id = n.tenant_id and d.type = n.type and d.record_id = n.record_id
          and (d.version > n.version or d.version = n.version and not $2::boolean))
    ), old as materialized (
      select d.tenant_id, d.tsv from fresh f join search_documents d
        on d.tenant_id = f.tenant_id and d.type = f.type and d.record_id = f.record_id
    ), put as (
      insert into search_documents (tenant_id, type, record_id, version, deleted, title_key, tsv, owner_id, assignee_ids,
                                    holders, tags, created_at, updated_at)
      select f.tenant_id, f.type, f.record_id, f.version, f.deleted, f.title_key, f.tsv, f.owner_id, f.assignee_ids,
             f.holders, f.tags, f.created_at, f.updated_at from fresh f
      on conflict (tenant_id, type, record_id) do update set
        version = excluded.version, deleted = excluded.deleted, title_key = excluded.title_key, tsv = excluded.tsv,
        owner_id = excluded.owner_id, assignee_ids = excluded.assignee_ids, holders = excluded.holders,
        tags = excluded.tags, created_at = excluded.created_at, updated_at = excluded.updated_at
    ), ${counted.trim()}`,
    values: [JSON.stringify(documents), again],
  }
}

function dropped(keys: readonly DocumentKey[]): Statement {
  return {
    name: 'search_drop',
    text: `
    with old as materialized (
      delete from search_documents d using jsonb_to_recordset($1::jsonb) as n(tenant_id uuid, type text, record_id uuid)
      where d.tenant_id = n.tenant_id and d.type = n.type and d.record_id = n.record_id
      returning d.tenant_id, d.tsv
    ), fresh as (
      select o.tenant_id, o.tsv from old o where false
    ), ${counted.trim()}`,
    values: [JSON.stringify(keys)],
  }
}
