import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contact } from '../../entities/contacts/contact.entity.ts'
import { note } from '../../entities/notes/note.entity.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import { newId } from '../../kernel/ids.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type DocumentKey, dropDocuments, writeDocuments } from './document.queries.ts'
import { documentOf, tombstoneOf } from './document.ts'
import { searchSubscription } from './indexer.ts'
import { dropTombstones } from './search.queries.ts'

let house: TestApp
let db: Database

beforeAll(async () => {
  house = await startTestApp()
  db = house.app.database.db
})
afterAll(() => house.stop())

const at = '2026-11-21T08:00:00.000Z'
const tenants = [newId(), newId()]
const records = Array.from({ length: 6 }, newId)

const recordOf = (id: string, body: string) => ({ id, body, tags: [], createdById: null, createdAt: at, updatedAt: at })

/** The vocabulary as it stands beside the words counted anew; the same, if all is well. */
async function vocabularies(): Promise<{ kept: string[]; counted: string[] }> {
  const read = (text: string) =>
    asOwner(house.ownerUrl, async (client) =>
      (await client.query(text, [tenants])).rows.map((row) => JSON.stringify(row)),
    )
  return {
    kept: await read('select tenant_id, word, documents from search_words where tenant_id = any($1) order by 1, 2'),
    counted: await read(`select d.tenant_id, w.word collate "C" as word, count(*)::integer as documents
      from search_documents d cross join lateral search_vocabulary(d.tsv) w(word)
      where d.tenant_id = any($1) group by 1, 2 order by 1, 2`),
  }
}

const change = fc.record({
  tenant: fc.constantFrom(...tenants),
  record: fc.constantFrom(...records),
  version: fc.integer({ min: 1, max: 9 }),
  kind: fc.constantFrom('write', 'write', 'write', 'delete', 'drop', 'again'),
  words: fc.array(fc.constantFrom('ada', 'bob', 'Čéline', "o'hara", '東京都', '2026', 'long words here'), {
    maxLength: 5,
  }),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

/** Several changes at once, of different records as in a batch of the subscription. */
async function apply(changes: readonly Change[]): Promise<void> {
  const batch = [...new Map(changes.map((one) => [`${one.tenant} ${one.record}`, one])).values()]
  const keys: DocumentKey[] = []
  const written = batch.flatMap(({ tenant, record, version, kind, words }) => {
    if (kind === 'delete') return [tombstoneOf(tenant, 'note', record, version, at)]
    if (kind !== 'drop') return [documentOf(tenant, note, version, recordOf(record, words.join(' ')))]
    keys.push({ tenant_id: tenant, type: 'note', record_id: record })
    return []
  })
  await db.workerTransaction((tx) => writeDocuments(tx, written, batch[0]?.kind === 'again'))
  await db.workerTransaction((tx) => dropDocuments(tx, keys))
}

test('the vocabulary counts exactly, whatever happens to documents, in whatever order and however many at once', async () => {
  const batches = fc.array(fc.array(change, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(batches, async (all) => {
      for (let first = 0; first < all.length; first += 3) await Promise.all(all.slice(first, first + 3).map(apply))
      const { kept, counted } = await vocabularies()
      expect(kept).toEqual(counted)
    }),
    { numRuns: 20 },
  )
})

test('an older version never replaces a newer one, nor brings back what was deleted', async () => {
  const [tenant = ''] = tenants
  const id = newId()
  const stands = () =>
    asOwner(house.ownerUrl, async (client) => {
      const text = 'select version, deleted, title_key from search_documents where tenant_id = $1 and record_id = $2'
      return (await client.query(text, [tenant, id])).rows
    })
  const write = (version: number, body: string) =>
    db.workerTransaction((tx) => writeDocuments(tx, [documentOf(tenant, note, version, recordOf(id, body))]))
  await write(2, 'second')
  await write(1, 'first')
  await write(2, 'not this one')
  expect(await stands()).toEqual([{ version: 2, deleted: false, title_key: 'second' }])
  await db.workerTransaction((tx) => writeDocuments(tx, [tombstoneOf(tenant, 'note', id, 4, at)]))
  await write(3, 'third')
  expect(await stands()).toEqual([{ version: 4, deleted: true, title_key: '' }])
  await write(5, 'restored')
  expect(await stands()).toEqual([{ version: 5, deleted: false, title_key: 'restored' }])
})

test('what was deleted long ago is forgotten, what was deleted lately is not', async () => {
  const [tenant = ''] = tenants
  const [old, late] = [newId(), newId()]
  const stones = [
    tombstoneOf(tenant, 'note', old, 2, '2020-01-01T00:00:00.000Z'),
    tombstoneOf(tenant, 'note', late, 2, new Date().toISOString()),
  ]
  await db.workerTransaction((tx) => writeDocuments(tx, stones))
  await dropTombstones(db.worker)
  const left = await db.worker.query({
    text: 'select record_id as id from search_documents where tenant_id = $1 and record_id = any($2)',
    values: [tenant, [old, late]],
  })
  expect(left).toEqual([{ id: late }])
})

test('of a batch the newest version of each record counts, in whatever order it lies', async () => {
  const subscription = searchSubscription(new Map([['note', note]]))
  const id = newId()
  const event = (name: string, version: number | null, body: string | null): DomainEvent => ({
    id: newId(),
    tenantId: tenants[0] ?? '',
    tx: '1',
    seq: '1',
    lane: 'live',
    name,
    type: 'note',
    recordId: id,
    version,
    occurredAt: at,
    actor: { id: null, type: 'system', name: '' },
    requestId: '',
    operationId: id,
    ip: null,
    userAgent: null,
    changes: [],
    shares: [],
    record: body === null ? null : recordOf(id, body),
    data: {},
  })
  const prepared = await subscription.prepare([
    event('note.updated', 3, 'third'),
    event('note.created', 1, 'first'),
    event('note.updated', 2, 'second'),
    event('note.viewed', null, null),
  ])
  expect(prepared).toMatchObject([{ version: 3, title_key: 'third' }])
  expect(await subscription.prepare([event('note.deleted', 4, 'last')])).toMatchObject([{ version: 4, deleted: true }])
})

test('a record of any size and script has a document', async () => {
  const [tenant = ''] = tenants
  const body = (text: string) => documentOf(tenant, note, 1, recordOf(newId(), text))
  const words = Array.from({ length: 90_000 }, (_value, index) => index.toString(36)).join(' ')
  const documents = [
    body(words),
    body('東京'.repeat(50_000)),
    body(`${'x'.repeat(119)}🎉 and half of a pair`),
    body("quotes ' '' \\ \\' : 1A, & | ! and marks"),
    documentOf(tenant, contact, 1, {
      ...recordOf(newId(), ''),
      name: '',
      tags: ["it's", 'back\\slash', 'a:1A b', '🎉'],
      customFields: { a: "o'c", b: ['x', 'y'], c: 1, d: newId() },
    }),
  ]
  await db.workerTransaction((tx) => writeDocuments(tx, documents))
  const { kept, counted } = await vocabularies()
  expect(kept).toEqual(counted)
})
