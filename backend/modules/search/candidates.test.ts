import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCustomFields } from '../../entities/custom-fields/custom-field.queries.ts'
import { createEntities } from '../../entities/index.ts'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { newId } from '../../kernel/ids.ts'
import type { Scope } from '../../kernel/rights.ts'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { type Client, eventually } from '../../test/client.ts'
import { findCandidates } from './candidates.ts'
import { keyOf } from './document.ts'
import { readPage } from './hits.ts'
import { readQuestion } from './question.ts'
import type { Filters } from './search.queries.ts'

let house: TestApp
let db: Database
let alice: Client
let bob: Client

beforeAll(async () => {
  house = await startTestApp()
  ;({ alice, bob } = house)
  db = house.app.database.db
})
afterAll(() => house.stop())

/** Somebody of a tenant whose role reads only so far. */
const ctxOf = (tenantId: string, scope: (type: string) => Scope): Ctx => ({
  tenantId,
  actor: { id: null, type: 'system', name: 'Test' },
  rights: { userId: '', role: 'reader', scope },
  sessionId: null,
  requestId: 'test',
  operationId: newId(),
  ip: null,
  userAgent: null,
  lane: 'live',
})

const types = ['contact', 'company', 'deal', 'task', 'note']
const wish = (q: string, filters: Filters = {}, among = types) =>
  ({ question: readQuestion(q), types: among, filters, sort: 'relevance' }) as const

test('only what the caller may read is found, in each way of finding, and not what was just taken from him', async () => {
  const entities = createEntities(db, createCustomFields(db)).registry.entities
  const mine = await alice.build('contact', { firstName: 'Rightful', lastName: 'One' })
  const given = await alice.build('contact', { firstName: 'Rightful', lastName: 'Two', ownerId: bob.userId })
  const task = await alice.build('task', { title: 'Rightful claim', assigneeIds: [alice.userId, bob.userId] })
  const note = await alice.build('note', { body: 'Rightful note' })
  const read = async (scope: (type: string) => Scope, q: string): Promise<string[]> => {
    const tx = db.tenant(ctxOf(alice.tenantId, scope))
    const { candidates, words, meant } = await findCandidates(tx, entities, wish(q))
    const asked = { offset: 0, limit: 100, filters: {}, words, meant }
    return (await readPage(tx, entities, candidates, asked)).hits.map(({ id }) => id).toSorted()
  }
  const everything = [mine, given, task, note].map(({ id }) => id).toSorted()
  await eventually(async () => (await read(() => 'all', 'rightful')).length === 4, 'all four')
  for (const q of ['rightful', 'right', 'rightfull', 'r']) {
    expect(await read(() => 'all', q)).toEqual(everything)
    expect(await read(() => 'none', q)).toEqual([])
    expect(await read(() => ({ userIds: [bob.userId] }), q)).toEqual([given.id, task.id].toSorted())
    expect(await read(() => ({ userIds: [alice.userId] }), q)).toEqual([mine.id, task.id, note.id].toSorted())
    expect(await read(() => ({ userIds: [alice.userId, bob.userId] }), q)).toEqual(everything)
    expect(await read((type) => (type === 'contact' ? 'none' : { userIds: [bob.userId] }), q)).toEqual([task.id])
    expect(await read((type) => (type === 'contact' ? 'all' : 'none'), q)).toEqual([mine.id, given.id].toSorted())
  }
  await alice.patch(`/contacts/${given.id}`, { ownerId: alice.userId })
  expect(await read(() => ({ userIds: [bob.userId] }), 'rightful')).toEqual([task.id])
})

test('a search reads no more documents than its bound, however many there are', async () => {
  const tenantId = newId()
  const owner = newId()
  await fillTenant(tenantId, 'contact', 20_000, owner)
  const ctx = ctxOf(tenantId, () => 'all')
  const own = ctxOf(tenantId, () => ({ userIds: [owner] }))
  const bound = 50 + 2000 + 2000
  const asked: [string, string, Ctx, Filters, number][] = [
    ['a word that all have', 'common', ctx, {}, 200],
    ['the beginning of it', 'c', ctx, {}, 200],
    ['a word that half have', 'half', ctx, {}, 200],
    ['a word that one in ten has', 'tenth', ctx, {}, 200],
    ['a word that one in a thousand has', 'thousandth', ctx, {}, 20],
    ['a word that one has', 'unique', ctx, {}, 1],
    ['words that never meet', 'odd even', ctx, {}, 0],
    ['words of which one is rare', 'common thousandth', ctx, {}, 20],
    ['numbers', '4711', ctx, {}, 1],
    ['the beginning of numbers', '1', ctx, {}, 200],
    ['no words', '', ctx, {}, 200],
    ['no words, by a tag that all have', '', ctx, { tags: ['all'] }, 200],
    ['no words, by a tag that few have', '', ctx, { tags: ['few'] }, 20],
    ['a common word, by an owner who has few', 'common', ctx, { ownerId: owner }, 20],
    ['a common word, of what few hold', 'common', own, {}, 20],
    ['a common word and a day long ago', 'common', ctx, { createdBefore: '2001-01-01' }, 0],
    ['a typo', 'comnom', ctx, {}, 0],
    ['a typo in a common word', 'ocmmon', ctx, {}, 200],
    ['a typo in a rare word', 'thuosandth', ctx, {}, 20],
  ]
  for (const [what, q, who, filters, expected] of asked) {
    await db.transaction(who, async (tx) => {
      const before = await readsOf(tx)
      const { candidates, meant } = await findCandidates(tx, new Map(), wish(q, filters, ['contact']))
      const after = await readsOf(tx)
      const searches = meant.length > 0 ? 2 : 1
      expect([what, after.scans - before.scans]).toEqual([what, 0])
      expect(after.documents - before.documents, what).toBeLessThanOrEqual(searches * bound)
      expect([what, Math.min(200, candidates.length)]).toEqual([what, expected])
    })
  }
})

/** How many documents this connection has read: told at once, and kept over transactions until the server collects it. */
async function readsOf(tx: Tx): Promise<{ documents: number; scans: number }> {
  const [row] = await tx.query<{ documents: number; scans: number }>({
    text: `select (seq_tup_read + idx_tup_fetch)::integer as documents, seq_scan::integer as scans
           from pg_stat_xact_user_tables where relname = 'search_documents'`,
    values: [],
  })
  return row ?? { documents: 0, scans: 0 }
}

test('what was typed is looked for among the newest when many have it', async () => {
  const tenantId = newId()
  await fillTenant(tenantId, 'contact', 5_000, newId())
  const { candidates } = await findCandidates(
    db.tenant(ctxOf(tenantId, () => 'all')),
    new Map(),
    wish('common', {}, ['contact']),
  )
  const ids = await asOwner(house.ownerUrl, async (client) => {
    const text = 'select record_id from search_documents where tenant_id = $1 order by updated_at desc limit 200'
    return (await client.query(text, [tenantId])).rows.map((row) => row.record_id)
  })
  expect(candidates.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
})

/** Documents straight into the table, as the indexer would have written them, with their vocabulary. */
async function fillTenant(tenantId: string, type: string, count: number, owner: string): Promise<void> {
  await asOwner(house.ownerUrl, async (client) => {
    await client.query(
      `insert into search_documents (tenant_id, type, record_id, version, deleted, title_key, tsv, owner_id, assignee_ids,
                                     holders, tags, created_at, updated_at)
       select $1, $2, gen_random_uuid(), 1, false, 'x' || n, to_tsvector('simple', '') || array_to_tsvector(array(
           select $3 || w from unnest(array['common', n::text, case when n % 2 = 0 then 'even' else 'odd' end,
             case when n % 2 = 0 then 'half' end, case when n % 10 = 0 then 'tenth' end, '#all',
             case when n % 1000 = 0 then 'thousandth' end, case when n % 1000 = 0 then '#few' end,
             case when n % 1000 = 0 then '@' || $4 end, case when n = 7 then 'unique' end]) w where w is not null)),
         case when n % 1000 = 0 then $4::uuid end, '{}', case when n % 1000 = 0 then array[$4::uuid] else '{}' end,
         case when n % 1000 = 0 then array['all', 'few'] else array['all'] end,
         '2020-01-01'::timestamptz + n * interval '1 minute', '2020-01-01'::timestamptz + n * interval '1 minute'
       from generate_series(1, $5::integer) n`,
      [tenantId, type, keyOf(tenantId, type), owner, count],
    )
    await client.query(
      `insert into search_words (tenant_id, word, documents)
       select d.tenant_id, w.word, count(*) from search_documents d cross join lateral search_vocabulary(d.tsv) w(word)
       where d.tenant_id = $1 group by 1, 2`,
      [tenantId],
    )
  })
}
