import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { createLogger } from '../log.ts'
import type { DomainEvent } from './event.ts'
import type { Subscription } from './subscription.ts'
import { logSchedules } from './upkeep.ts'

/** Notes each event in a table without a key: a second time would be a second row. */
const witness: Subscription<readonly DomainEvent[]> = {
  name: 'witness',
  patterns: ['contact.*'],
  prepare: async (batch) => batch,
  apply: async (tx, batch) =>
    void (await tx.query({
      text: 'insert into witnessed (id) select unnest($1::uuid[])',
      values: [batch.map((event) => event.recordId)],
    })),
}

let house: TestApp

beforeAll(async () => {
  house = await startTestApp({ environment: { ROLE: 'web' } })
  await owner(
    'create table witnessed (place serial, id uuid not null); grant insert on witnessed to clientforge_worker; grant usage on sequence witnessed_place_seq to clientforge_worker',
  )
})
afterAll(() => house?.stop())

/** What a schedule of the log would do. */
const wouldDo = async (name: string) => {
  const schedule = logSchedules(house.app.database.db).find((each) => each.name === name)
  const turn = { dryRun: true, signal: new AbortController().signal, log: createLogger('silent') }
  return (await schedule?.run(turn))?.days
}

test('the days ahead are there, and making them waits for no writer', async () => {
  await owner(`drop table events_${day(5)}, events_${day(7)}`)
  expect(await wouldDo('events.make-days')).toBe(2)
  await asOwner(house.ownerUrl, async (writer) => {
    await writer.query('begin')
    await writer.query('lock table events in row exclusive mode')
    await asOwner(house.ownerUrl, async (client) => {
      await client.query("set lock_timeout = '5s'")
      await client.query('select make_event_partitions(7)')
    })
    await writer.query('rollback')
  })
  expect(await wouldDo('events.make-days')).toBe(0)
  const made = await partitions()
  for (let ahead = -1; ahead <= 7; ahead++) expect(made).toContain(`events_${day(ahead)}`)
  const [indexed] = await owner(
    `select count(*)::integer as indexes from pg_index where indrelid = 'events_${day(5)}'::regclass`,
  )
  expect(indexed?.indexes).toBe(2)
})

test('a day is dropped only when every cursor and parked event is past it', async () => {
  const worker = house.app.database.db.worker
  const drop = async (): Promise<string[]> => {
    const [row] = await worker.query({ text: 'select drop_event_partition(7) as name', values: [] })
    return row?.name ? [row.name, ...(await drop())] : []
  }
  for (const age of [20, 19, 8]) await makeDay(age)
  const [old] = await owner(`
    insert into events (tenant_id, tx, seq, id, lane, name, type, occurred_at, actor, request_id, operation_id)
    values (gen_random_uuid(), '100', 1, gen_random_uuid(), 0, 'contact.created', 'contact', now() - interval '19 days', '{}', '', gen_random_uuid())
    returning tenant_id, id, occurred_at`)
  await owner(
    `insert into event_cursors (subscription, lane, tx, seq) values ('late', 0, '99', 5), ('early', 0, '200', 1)`,
  )
  expect(await wouldDo('events.drop-days')).toBe(1)
  expect(await drop()).toEqual([`events_${day(-20)}`])
  await owner(`
    update event_cursors set tx = '100', seq = 1 where subscription = 'late';
    insert into parked_events (subscription, tx, seq, lane, tenant_id, event_id, name, occurred_at, error)
    values ('late', '100', 1, 0, '${old?.tenant_id}', '${old?.id}', 'contact.created', '${old?.occurred_at.toISOString()}', 'no')`)
  expect(await wouldDo('events.drop-days')).toBe(0)
  expect(await drop()).toEqual([])
  await owner('delete from parked_events')
  expect(await wouldDo('events.drop-days')).toBe(2)
  expect(await drop()).toEqual([`events_${day(-19)}`, `events_${day(-8)}`])
  await makeDay(7)
  expect(await drop()).toEqual([])
  await owner("delete from event_cursors where subscription in ('late', 'early')")
})

test('a date is read off the names of days alone, whatever way the planner takes', async () => {
  await owner(`set enable_indexscan = off; set enable_bitmapscan = off; set enable_nestloop = off;
    select drop_event_partition(7)`)
})

test('only the worker may make and drop days', async () => {
  const { db } = house.app.database
  for (const call of ['make_event_partitions(7)', 'drop_event_partition(0)', 'renumber_event_log()']) {
    await expect(db.anonymous({ text: `select ${call}`, values: [] })).rejects.toMatchObject({ code: '42501' })
  }
  await expect(db.worker.query({ text: 'select renumber_event_log()', values: [] })).rejects.toMatchObject({
    code: '42501',
  })
})

test('restored into another cluster, twice in a row, the log keeps its order and every cursor its place', async () => {
  const expected: string[] = []
  const build = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) expected.push((await house.alice.build('contact')).id)
  }
  const told = async (): Promise<string[]> =>
    (await owner('select id from witnessed order by place')).map((row) => row.id)
  const whileWorking = async (work: () => Promise<void>): Promise<void> => {
    const worker = await house.another({ environment: { ROLE: 'worker' }, subscriptions: [witness] })
    await work()
    await eventually(async () => (await told()).length >= expected.length, 'all events at the subscription')
    await worker.stop()
    expect(await told()).toEqual(expected)
  }

  await build(3)
  await whileWorking(() => build(2))
  for (const cluster of ['a first other cluster', 'a second other cluster']) {
    // Left behind: not read by the subscription before the restore.
    await build(4)
    const order = await ids()
    const places = await behind()
    // A cluster that has given far higher transaction ids than the one into which the log comes.
    await owner(`
      update events set tx = (tx::text::bigint + 1000000000)::text::xid8;
      update event_cursors set tx = (tx::text::bigint + 1000000000)::text::xid8 where tx > '0';
      update event_log_cluster set system_identifier = '${cluster}'`)
    // The start of the next process renumbers, before its first write.
    await whileWorking(async () => {
      expect(await ids()).toEqual(expect.arrayContaining(order))
      await build(3)
    })
    expect((await ids()).slice(0, order.length)).toEqual(order)
    const [now] = await owner('select bool_and(tx < pg_snapshot_xmin(pg_current_snapshot())) as visible from events')
    expect(now?.visible).toBe(true)
    expect(places.find((place) => place.subscription === 'witness')?.behind).toBe(4)
  }
})

/** The log in its order. */
async function ids(): Promise<string[]> {
  return (await owner('select id from events order by events.tx, events.seq')).map((row) => row.id)
}

/** How many contacts' events each subscription has yet to see. */
async function behind(): Promise<pg.QueryResultRow[]> {
  return owner(`
    select c.subscription, (select count(*) from events e
      where e.lane = c.lane and e.name = 'contact.created' and (e.tx, e.seq) > (c.tx, c.seq))::integer as behind
    from event_cursors c where c.lane = 0`)
}

async function owner(statement: string): Promise<pg.QueryResultRow[]> {
  return asOwner(house.ownerUrl, async (client) => (await client.query(statement)).rows ?? [])
}

async function partitions(): Promise<string[]> {
  const rows = await owner(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass`,
  )
  return rows.map((row) => row.name)
}

async function makeDay(age: number): Promise<void> {
  await owner(`create table events_${day(-age)} partition of events
    for values from ('${day(-age)}T00:00:00Z') to ('${day(1 - age)}T00:00:00Z')`)
}

/** A day from today on in UTC, as partitions are named. */
const day = (ahead: number): string =>
  new Date(Date.now() + ahead * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')
