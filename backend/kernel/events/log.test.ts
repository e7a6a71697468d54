import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import type { Ctx, Lane } from '../context.ts'
import type { Tx } from '../db/database.ts'
import { roleUrl } from '../db/roles.ts'
import { newId } from '../ids.ts'
import { appendEvents } from './append.ts'
import type { DomainEvent, Position } from './event.ts'
import { byPosition, readAfter } from './log.ts'
import type { Subscription } from './subscription.ts'

/** Notes in a table without any key what it is given: a second time would be a second row. */
const witness: Subscription<readonly DomainEvent[]> = {
  name: 'witness',
  patterns: ['probe.*'],
  prepare: async (batch) => batch,
  apply: async (tx, batch) =>
    void (await tx.query({
      text: 'insert into witnessed select * from unnest($1::uuid[])',
      values: [batch.map((event) => event.id)],
    })),
}

let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ subscriptions: [witness], environment: { DATABASE_POOL: '12' } })
  await asOwner(house.ownerUrl, (client) =>
    client.query('create table witnessed (id uuid not null); grant insert on witnessed to clientforge_worker'),
  )
})
afterAll(() => house?.stop())

test('events of a transaction that commits late are neither overtaken nor lost', async () => {
  const { db } = house.app.database
  const from = await endOfLog('live')
  const names = async (): Promise<string[]> =>
    (await readAfter(db.worker, 'live', from, 10)).map((event) => event.name).filter((name) => name.startsWith('late.'))
  await db.transaction(ctxIn('live'), async (slow) => {
    await append(slow, 'late.first')
    await db.transaction(ctxIn('live'), (fast) => append(fast, 'late.second'))
    await append(slow, 'late.third')
    // The second is committed and has a greater seq than the first: a cursor of seq alone would pass the first for ever.
    expect(await names()).toEqual([])
  })
  const read = await eventually(async () => ((await names()).length === 3 ? names() : undefined), 'the three events')
  // By transaction, then by seq: the third was numbered after the second and comes before it.
  expect(read).toEqual(['late.first', 'late.third', 'late.second'])
})

test.for<Lane>(['live', 'bulk'])(
  'slow and fast writers at once: every %s event is read exactly once, in order',
  async (lane) => {
    const from = await endOfLog(lane)
    const committed: string[] = []
    let writing = true
    const readers = [readAll(lane, from, 7, () => writing), readAll(lane, from, 500, () => writing)]
    await Promise.all(Array.from({ length: 8 }, (_, writer) => write(lane, writer, committed)))
    writing = false
    for (const read of await Promise.all(readers)) {
      const ours = read.filter((event) => event.name.startsWith('probe.'))
      expect(ours.map((event) => event.id).toSorted()).toEqual(committed.toSorted())
      expect(read).toEqual(read.toSorted(byPosition))
    }
    await eventually(
      async () => (await witnessed(committed)).length >= committed.length,
      'all events at the subscription',
    )
    expect((await witnessed(committed)).toSorted()).toEqual(committed.toSorted())
  },
)

test('a page behind the statistics is read in the order of the index, however much waits', async () => {
  const fill = (count: number) =>
    asOwner(house.ownerUrl, (client) =>
      client.query(`
        insert into events (tenant_id, id, lane, name, type, actor, request_id, operation_id, record)
        select '${house.alice.tenantId}', gen_random_uuid(), 1, 'ballast.made', 'ballast', '{}', '', gen_random_uuid(),
               jsonb_build_object('text', repeat('ballast ', 20)) from generate_series(1, ${count})`),
    )
  await fill(1_000)
  await asOwner(house.ownerUrl, (client) => client.query('analyze events'))
  const from = await endOfLog('bulk')
  await fill(10_000)
  // A session of its own: one that has read before may remember a better plan than it would make now.
  const pagesRead = await asOwner(roleUrl(house.ownerUrl, 'clientforge_worker'), async (client) => {
    const read = async (): Promise<number> => {
      const { rows } = await client.query(`
        explain (analyze, buffers, format json) select * from read_events(1::smallint, '${from.tx}', ${from.seq},
          pg_snapshot_xmax(pg_current_snapshot()), 500)`)
      const { Plan: plan } = rows[0]['QUERY PLAN'][0]
      expect(plan['Actual Rows']).toBe(500)
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    }
    // The first time it is planned, for which the catalogues are read.
    await read()
    return read()
  })
  // 500 rows stand on some 30 pages, all 10,000 on more than 450.
  expect(pagesRead).toBeLessThan(150)
})

/** A writer of thirty transactions of one to three events: each sixth lingers before its commit, each seventh fails. */
async function write(lane: Lane, writer: number, committed: string[]): Promise<void> {
  for (let round = 0; round < 30; round++) {
    const turn = writer + round
    const operationId = newId()
    const count = 1 + (turn % 3)
    await house.app.database.db
      .transaction({ ...ctxIn(lane), operationId }, async (tx) => {
        for (let index = 0; index < count; index++) await append(tx, 'probe.made')
        if (turn % 6 === 0) await sleep(100 + 50 * (turn % 9))
        if (turn % 7 === 3) throw new Error('changed its mind')
        const rows = await tx.query({ text: 'select id from events where operation_id = $1', values: [operationId] })
        return rows.map((row) => row.id)
      })
      .then(
        (ids) => committed.push(...ids),
        (error) => expect(error.message).toBe('changed its mind'),
      )
  }
}

/** Walks the log page by page until the writers are done and everything below the horizon has been read. */
async function readAll(lane: Lane, from: Position, page: number, writing: () => boolean): Promise<DomainEvent[]> {
  const read: DomainEvent[] = []
  for (let cursor = from; ; ) {
    // Asked before the page: what is kept back now could be let through between the page and the question.
    const last = !writing() && (await nothingIsKeptBack(lane, cursor))
    const events = await readAfter(house.app.database.db.worker, lane, cursor, page)
    read.push(...events)
    cursor = events.at(-1) ?? cursor
    if (events.length === 0 && last) return read
  }
}

/** Whether no event is committed but kept back: another session may still hold the horizon. */
async function nothingIsKeptBack(lane: Lane, { tx, seq }: Position): Promise<boolean> {
  const rows = await house.app.database.db.worker.query({
    text: `select 1 from events where lane = $1 and (tx, seq) > ($2::xid8, $3::bigint) and tx >= pg_snapshot_xmin(pg_current_snapshot()) limit 1`,
    values: [lane === 'live' ? 0 : 1, tx, seq],
  })
  return rows.length === 0
}

async function endOfLog(lane: Lane): Promise<Position> {
  let end: Position = { tx: '0', seq: '0' }
  for (;;) {
    const events = await readAfter(house.app.database.db.worker, lane, end, 500)
    const last = events.at(-1)
    if (!last) return end
    end = { tx: last.tx, seq: last.seq }
  }
}

async function witnessed(ids: readonly string[]): Promise<string[]> {
  return asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query('select id from witnessed where id = any($1)', [ids])
    return rows.map((row) => row.id)
  })
}

const append = (tx: Tx, name: string): Promise<void> => appendEvents(tx, [{ name, type: name.split('.', 1)[0] ?? '' }])

function ctxIn(lane: Lane): Ctx {
  const id = newId()
  return {
    tenantId: house.alice.tenantId,
    actor: { id: null, type: 'system', name: 'Test' },
    rights: { userId: '', role: 'owner', scope: () => 'all' },
    sessionId: null,
    requestId: id,
    operationId: id,
    ip: null,
    userAgent: null,
    lane,
  }
}
