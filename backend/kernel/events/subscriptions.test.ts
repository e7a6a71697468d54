import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asOwner, startTestApp, type TestApp } from '../../test/app.ts'
import { eventually } from '../../test/client.ts'
import { startProcess } from '../../test/process.ts'
import { newId } from '../ids.ts'
import { appendEvents } from './append.ts'
import type { DomainEvent } from './event.ts'
import { PermanentError, type Subscription } from './subscription.ts'
import { listParked, replay } from './subscriptions.ts'

/** Calls a peer outside, one line an event. */
const courier: Subscription<void> = {
  name: 'courier',
  patterns: ['courier.*'],
  prepare: async (batch) => {
    const socket = connect(peer.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.end(batch.map((event) => `${event.recordId}\n`).join(''))
    await once(socket, 'close')
  },
}

/** Digests numbers, with the function of the database that reads them. */
const clerk: Subscription<readonly DomainEvent[]> = {
  name: 'clerk',
  patterns: ['clerk.*'],
  prepare: async (batch) => {
    if (batch.some((event) => event.data.hopeless)) throw new PermanentError('nobody can read this')
    return batch
  },
  apply: async (tx, batch) =>
    void (await tx.query({
      text: 'insert into digested (id, number) select e.id, read_number(e.text) from unnest($1::uuid[], $2::text[]) e(id, text)',
      values: [batch.map((event) => event.recordId), batch.map((event) => event.data.number)],
    })),
}

/** Counts in one statement that may touch each row once: two events of one record fail when they come together. */
const counter: Subscription<readonly DomainEvent[]> = {
  name: 'counter',
  patterns: ['counter.*'],
  prepare: async (batch) => batch,
  apply: async (tx, batch) =>
    void (await tx.query({
      text: `insert into counted (id) select unnest($1::uuid[]) on conflict (id) do update set times = counted.times + 1`,
      values: [batch.map((event) => event.recordId)],
    })),
}

/** Takes its time over what comes in bulk: until the test lets it go on. */
const reader: Subscription<readonly DomainEvent[]> = {
  name: 'reader',
  patterns: ['contact.created'],
  prepare: async (batch) => {
    if (batch.some((event) => event.lane === 'bulk')) await bulkMayPass.promise
    return batch
  },
  apply: async (tx, batch) =>
    void (await tx.query({
      text: 'insert into digested (id, number) select unnest($1::uuid[]), 0',
      values: [batch.map((event) => event.recordId)],
    })),
}

const bulkMayPass = Promise.withResolvers<void>()
const peer: { port: number; server: Server | undefined; heard: string[] } = { port: 0, server: undefined, heard: [] }
let house: TestApp

beforeAll(async () => {
  // A port of which is known that nobody listens on it: taken, and given back.
  peer.port = await open(0)
  await close()
  house = await startTestApp({ subscriptions: [courier, clerk, counter, reader] })
  await asOwner(house.ownerUrl, (client) =>
    client.query(`
      create function read_number(text) returns integer language sql as 'select $1::integer';
      create table digested (id uuid not null, number integer);
      create table counted (id uuid primary key, times integer not null default 1);
      grant select, insert, update on digested, counted to clientforge_worker`),
  )
})
afterAll(async () => {
  bulkMayPass.resolve()
  await close()
  await house?.stop()
})

test('while the peer of a subscription is down it waits and all others go on; then everything is delivered', async () => {
  // What stands before the letters is nothing to the courier: in a batch with them it would pass alone, once batches shrink.
  await eventually(async () => isDeepStrictEqual(await cursorOf('courier'), await endOfLog()), 'the courier at the end')
  const letters = await append('courier', 30)
  const failing = await eventually(async () => (await stateOf('courier'))?.attempts >= 2, 'two failed attempts')
  expect(failing).toBe(true)
  const before = await cursorOf('courier')
  const numbers = await append('clerk', 5)
  await eventually(async () => (await digested(numbers)).length === 5, 'the numbers of another subscription')
  await eventually(async () => (await stateOf('courier'))?.attempts >= 4, 'more failed attempts')
  expect(await cursorOf('courier')).toEqual(before)
  expect(await parkedOf('courier')).toEqual([])
  const health = await house.nobody.get('//health')
  expect([health.status, health.body.status, health.body.dependencies.subscriptions.status]).toEqual([
    200,
    'degraded',
    'degraded',
  ])
  await open(peer.port)
  await eventually(async () => letters.every((id) => peer.heard.includes(id)), 'all letters at the peer')
  expect(peer.heard).toEqual(letters)
  await eventually(async () => (await stateOf('courier')) === undefined, 'health again')
})

test('one event that cannot be digested is parked, the others pass once, and it can be replayed', async () => {
  const ids = await append('clerk', 20, (index) => ({ number: index === 7 ? 'seven' : String(index) }))
  const [poison] = ids.splice(7, 1)
  await eventually(async () => (await digested(ids)).length > 0, 'what can be digested')
  expect((await digested(ids)).toSorted()).toEqual(ids.toSorted())
  const [parked, ...more] = await parkedOf('clerk')
  expect(more).toEqual([])
  expect(parked).toMatchObject({ name: 'clerk.made', attempts: 1, error: expect.stringContaining('seven') })
  if (!parked || !poison) throw new Error('nothing was parked')

  const { db } = house.app.database
  expect(await replay(db, house.app.subscriptions, parked)).toMatchObject({ digested: false })
  expect(await parkedOf('clerk')).toMatchObject([{ attempts: 2 }])

  await asOwner(house.ownerUrl, (client) =>
    client.query(`create or replace function read_number(text) returns integer language sql
                  as $$ select case $1 when 'seven' then 7 else $1::integer end $$`),
  )
  // Two operators at once: one of them does it.
  const [first, second] = await Promise.allSettled([
    replay(db, house.app.subscriptions, parked),
    replay(db, house.app.subscriptions, parked),
  ])
  expect([first.status, second.status].toSorted()).toEqual(['fulfilled', 'rejected'])
  expect(await digested([poison])).toEqual([poison])
  expect(await parkedOf('clerk')).toEqual([])
})

test('an operator lists and replays parked events from the command line', async () => {
  const contact = await house.alice.build('contact')
  await eventually(async () => (await house.alice.timeline('contact', contact.id, 1)).length === 1, 'the activity')
  await asOwner(house.ownerUrl, (client) =>
    client.query(
      `insert into parked_events (subscription, tx, seq, lane, tenant_id, event_id, name, occurred_at, error)
       select 'timeline', tx, seq, lane, tenant_id, id, name, occurred_at, 'Error: no room' from events where record_id = $1`,
      [contact.id],
    ),
  )
  const parked = (...command: string[]) =>
    startProcess({ DATABASE_URL: house.ownerUrl, STORAGE_DIR: house.config.storageDir }, [
      'scripts/parked.ts',
      ...command,
    ])
  const listed = parked('list', 'timeline')
  expect([await listed.ended, listed.output]).toEqual([0, expect.stringContaining('contact.created')])
  expect(listed.output).toContain('Error: no room')
  const replayed = parked('replay', 'timeline')
  expect([await replayed.ended, replayed.output]).toEqual([0, '1 of 1 digested.\n'])
  expect(await parkedOf('timeline')).toEqual([])
  expect(await house.alice.timeline('contact', contact.id, 1)).toHaveLength(1)
})

test('a permanent error parks its event at once, though nothing passes beside it', async () => {
  const [id] = await append('clerk', 1, () => ({ hopeless: true }))
  const parked = await eventually(async () => (await parkedOf('clerk'))[0], 'the parked event')
  expect(parked).toMatchObject({ attempts: 1, error: 'PermanentError: nobody can read this' })
  expect(await digested([id ?? ''])).toEqual([])
})

test('a bad event with more than a batch of what others want behind it holds up nobody', async () => {
  const [poison] = await append('clerk', 1, () => ({ number: 'nine' }))
  await append('filler', 600)
  const after = await append('clerk', 1)
  await eventually(async () => (await digested(after)).length === 1, 'the number behind it')
  const parked = await parkedOf('clerk')
  expect(parked.map(({ error }) => error)).toContainEqual(expect.stringContaining('nine'))
  expect(await digested([poison ?? ''])).toEqual([])
})

test('events that fail only together pass in smaller batches', async () => {
  const recordId = newId()
  await append(
    'counter',
    6,
    () => ({}),
    () => recordId,
  )
  const times = () =>
    asOwner(house.ownerUrl, async (client) => {
      const { rows } = await client.query('select times from counted where id = $1', [recordId])
      return rows[0]?.times
    })
  await eventually(async () => (await times()) === 6, 'six counts')
  expect(await parkedOf('counter')).toEqual([])
})

test('a bulk call goes by the bulk lane, and whoever is slow over it is not late for what people do', async () => {
  const operations = Array.from({ length: 25 }, (_, index) => ({ op: 'create', data: { lastName: `Row ${index}` } }))
  const bulk = await house.alice.post('/contacts/bulk', { operations })
  expect(bulk.status).toBe(200)
  const rows: string[] = bulk.body.results.map((result: { id: string }) => result.id)
  const byHand = await house.alice.build('contact')
  await eventually(async () => (await digested([byHand.id])).length > 0, 'the contact made by hand')
  expect(await digested(rows)).toEqual([])
  bulkMayPass.resolve()
  await eventually(async () => (await digested(rows)).length > 0, 'the contacts of the bulk call')
  expect((await digested(rows)).toSorted()).toEqual(rows.toSorted())
  expect(await digested([byHand.id])).toEqual([byHand.id])
})

test('health names the session that keeps new events back', async () => {
  const heldBackBy = async (): Promise<string | null> =>
    (await house.nobody.get('//health')).body.dependencies.eventLog.detail.heldBackBy
  const sleeper = new pg.Client({ connectionString: house.ownerUrl, application_name: 'a forgotten console' })
  await sleeper.connect()
  await sleeper.query('begin')
  await sleeper.query('select pg_current_xact_id()')
  await house.alice.build('contact')
  await eventually(async () => (await heldBackBy())?.startsWith('a forgotten console (pid '), 'the name of the session')
  await sleeper.end()
  await eventually(async () => (await heldBackBy()) === null, 'nobody any more')
})

/** Events of one transaction, so that they come in one batch; gives the ids of their records. */
async function append(
  noun: string,
  count: number,
  dataOf: (index: number) => Record<string, unknown> = (index) => ({ number: String(index) }),
  idOf: () => string = newId,
): Promise<string[]> {
  const { db } = house.app.database
  const id = newId()
  const events = Array.from({ length: count }, (_, index) => ({
    name: `${noun}.made`,
    type: noun,
    recordId: idOf(),
    data: dataOf(index),
  }))
  await db.transaction(
    {
      tenantId: house.alice.tenantId,
      actor: { id: null, type: 'system', name: 'Test' },
      rights: { userId: '', role: 'owner', scope: () => 'all' },
      sessionId: null,
      requestId: id,
      operationId: id,
      ip: null,
      userAgent: null,
      lane: 'live',
    },
    (tx) => appendEvents(tx, events),
  )
  return events.map((event) => event.recordId)
}

/** What health says of a subscription that fails. */
async function stateOf(subscription: string) {
  const { body } = await house.nobody.get('//health')
  return body.dependencies.subscriptions.detail.failing.find(
    (failing: { subscription: string }) => failing.subscription === subscription,
  )
}

const parkedOf = (subscription: string) => listParked(house.app.database.db.worker, subscription, 100)

async function cursorOf(subscription: string): Promise<unknown> {
  return asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query('select tx, seq from event_cursors where subscription = $1 and lane = 0', [
      subscription,
    ])
    return rows[0]
  })
}

async function endOfLog(): Promise<unknown> {
  return asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query('select tx, seq from events where lane = 0 order by tx desc, seq desc limit 1')
    return rows[0]
  })
}

async function digested(ids: readonly string[]): Promise<string[]> {
  return asOwner(house.ownerUrl, async (client) => {
    const { rows } = await client.query('select id from digested where id = any($1)', [ids])
    return rows.map((row) => row.id)
  })
}

async function open(port: number): Promise<number> {
  const server = createServer((socket) => {
    socket.setEncoding('utf8')
    let text = ''
    socket.on('data', (part) => {
      text += part
    })
    socket.on('end', () => {
      peer.heard.push(...text.split('\n').filter((line) => line !== ''))
      socket.end()
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  peer.server = server
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}

async function close(): Promise<void> {
  const { server } = peer
  peer.server = undefined
  if (server) await new Promise((resolve) => server.close(resolve))
}
