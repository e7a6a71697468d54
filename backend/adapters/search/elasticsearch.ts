import type { Client } from '@elastic/elasticsearch'

/** A client of the Elasticsearch 9 at a URL. Its package takes 0.3 s to load, which only an installation that has one pays. */
export async function openElasticsearch(url: string): Promise<Client> {
  const { Client } = await import('@elastic/elasticsearch')
  return new Client({ node: url })
}
