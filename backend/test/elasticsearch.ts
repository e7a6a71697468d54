import { randomUUID } from 'node:crypto'
import { openElasticsearch } from '../adapters/search/elasticsearch.ts'
import { type RightsFields, rightsFilter, rightsMapping } from '../adapters/search/elasticsearch-rights.ts'
import type { Scope } from '../kernel/rights.ts'

/** An index of its own on a real Elasticsearch, with what documents say of rights; it is gone when it is closed. */
export interface RightsIndex {
  /** The ids of at most 100 documents of a type that a scope reaches, in order. */
  reached(type: string, scope: Scope): Promise<string[]>
  close(): Promise<void>
}

/** Makes the index on the server at a URL. */
export async function openRightsIndex(
  url: string,
  documents: readonly (RightsFields & { readonly id: string })[],
): Promise<RightsIndex> {
  const client = await openElasticsearch(url)
  const index = `rights-${randomUUID()}`
  await client.indices.create({ index, mappings: { dynamic: 'strict', properties: rightsMapping } })
  const operations = documents.flatMap(({ id, ...fields }) => [{ index: { _id: id } }, fields])
  const { errors, items } = await client.bulk({ index, operations, refresh: true })
  if (errors) throw new Error(`documents were refused: ${JSON.stringify(items)}`)
  return {
    reached: async (type, scope) => {
      const { hits } = await client.search({ index, query: rightsFilter(type, scope), size: 100, _source: false })
      return hits.hits.flatMap(({ _id }) => _id ?? []).toSorted()
    },
    close: async () => {
      await client.indices.delete({ index })
      await client.close()
    },
  }
}
