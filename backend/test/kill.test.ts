import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbedded } from '../kernel/db/embedded/server.ts'
import { createLogger } from '../kernel/log.ts'
import type { Answer } from './answer.ts'
import { asOwner } from './app.ts'
import { createCast } from './cast.ts'
import { type Client, createClient, eventually } from './client.ts'
import { type Process, startProcess } from './process.ts'

/** `KILL_ROUNDS=20 npx vitest run backend/test/kill.test.ts` kills more often than everybody's test run. */
const rounds = Number(process.env.KILL_ROUNDS ?? 4)
const writers = 6

/** A record as it was answered with 2xx: from then on it must stand, whatever dies. */
interface Promised {
  readonly id: string
  readonly version: number
}

const promised: Promised[] = []
const names: string[] = []
const figures = { answered: 0, repeated: 0, replayed: 0, killedInStart: 0, alone: 0, withDatabase: 0 }
let storageDir: string
let port: number
let app: Process
let alice: Client
let bob: Client

beforeAll(async () => {
  storageDir = await mkdtemp(join(tmpdir(), 'clientforge-kill-'))
  // The embedded server runs as another user when the test is root's.
  await chmod(storageDir, 0o755)
  port = await freePort()
  app = start()
  const cast = await createCast(await app.url)
  alice = cast.alice
  bob = cast.bob
})
afterAll(async () => {
  app.kill('SIGKILL')
  await app.ended
  await rm(storageDir, { recursive: true, force: true })
})

test(`nothing is lost and nothing done twice over ${rounds} kills under load`, {
  timeout: 60_000 + rounds * 20_000,
}, async () => {
  let writing = true
  const load = Array.from({ length: writers }, async (_, writer) => {
    while (writing) await (writer % 2 === 0 ? sellDeal() : workOffTask())
  })
  const kills = async (): Promise<void> => {
    for (let round = 0; round < rounds; round++) await killAndStart(round)
    await app.url
    const answered = promised.length
    await eventually(async () => promised.length >= answered + writers, 'writes after the last kill')
    writing = false
  }
  await Promise.all([kills(), ...load])
  await eventually(fanOutIsDone, 'the end of the fan-out')
  app.kill('SIGTERM')
  expect(await app.ended).toBe(0)

  const embedded = await startEmbedded({ storageDir, log: createLogger('error') })
  try {
    await asOwner(embedded.url, verify)
  } finally {
    await embedded.stop()
  }
  console.info(`${rounds} kills: ${JSON.stringify({ ...figures, records: names.length })}`)
})

async function verify(owner: pg.Client): Promise<void> {
  const rowsOf = async (query: string, values: unknown[] = []) => (await owner.query(query, values)).rows

  // Every answered write stands as it was answered.
  const logged = await rowsOf("select record from events where type in ('deal', 'task') and record is not null")
  const standing = new Map(logged.map(({ record }) => [`${record.id} ${record.version}`, record]))
  for (const answer of promised) expect(standing.get(`${answer.id} ${answer.version}`)).toEqual(answer)

  // Each key has made one record.
  const records = await rowsOf(`
    select 'deal' as type, id, name, version, status from deals
    union all select 'task', id, title, version, status from tasks`)
  expect(records.map((record) => record.name).toSorted()).toEqual(names.toSorted())

  // One activity for each version of each record, and one document of the last version.
  const versions = records.flatMap(({ id, version }) =>
    Array.from({ length: version }, (_, index) => `${id} ${index + 1}`),
  )
  const activities = await rowsOf("select entity_id, version from activities where entity_type in ('deal', 'task')")
  expect(activities.map((row) => `${row.entity_id} ${row.version}`).toSorted()).toEqual(versions.toSorted())
  const documents = await rowsOf(
    "select type, record_id, version from search_documents where type in ('deal', 'task') and not deleted",
  )
  expect(documents.map((row) => `${row.type} ${row.record_id} ${row.version}`).toSorted()).toEqual(
    records.map((row) => `${row.type} ${row.id} ${row.version}`).toSorted(),
  )

  // One entry for whom it concerns, and none for anybody else.
  const due = records.flatMap(({ type, id, status }) => [
    `${bob.userId} ${type}.assigned ${id}`,
    ...(status === 'won' ? [`${bob.userId} deal.won ${id}`] : []),
    ...(status === 'completed' ? [`${alice.userId} task.completed ${id}`] : []),
  ])
  const entries = await rowsOf('select user_id, type, entity_id from notifications')
  expect(entries.map((row) => `${row.user_id} ${row.type} ${row.entity_id}`).toSorted()).toEqual(due.toSorted())
  expect(await rowsOf('select * from parked_events')).toEqual([])
}

/** A deal for Bob that is made, grows twice and is won. */
async function sellDeal(): Promise<void> {
  const name = nameIt()
  const deal = await insist(alice, 'post', '/deals', { name, ownerId: bob.userId })
  await insist(alice, 'patch', `/deals/${deal.id}`, { value: 10 })
  await insist(alice, 'patch', `/deals/${deal.id}`, { value: 20 })
  await insist(alice, 'post', `/deals/${deal.id}/win`)
}

/** A task that Alice makes and assigns to Bob, who completes it. */
async function workOffTask(): Promise<void> {
  const title = nameIt()
  const task = await insist(alice, 'post', '/tasks', { title })
  await insist(alice, 'post', `/tasks/${task.id}/assign`, { userIds: [bob.userId] })
  await insist(bob, 'post', `/tasks/${task.id}/complete`)
}

function nameIt(): string {
  const name = randomUUID()
  names.push(name)
  return name
}

/** Sends a request until it is answered with 2xx, a POST under one key, as a careful client does. */
async function insist(client: Client, method: 'post' | 'patch', path: string, body?: unknown): Promise<Promised> {
  const headers: Record<string, string> = method === 'post' ? { 'Idempotency-Key': randomUUID() } : {}
  for (;;) {
    const answer = await attempt(() => client[method](path, body, headers))
    if (answer && answer.status < 300) {
      figures.answered++
      if (answer.headers.get('idempotent-replayed')) figures.replayed++
      promised.push(answer.body)
      return answer.body
    }
    // 409: the database still works at the attempt of a process that is gone. 503: it cannot be reached now.
    if (answer) expect([409, 503], JSON.stringify(answer.body)).toContain(answer.status)
    figures.repeated++
    await sleep(100)
  }
}

/** An answer; undefined when the connection was refused or broke. */
async function attempt(send: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await send()
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** Kills at a random moment, each third time while it starts; in turn the process alone and with its database. */
async function killAndStart(round: number): Promise<void> {
  const inStart = round % 3 === 2
  if (!inStart) await app.url
  await sleep(Math.random() * (inStart ? 1_500 : 2_500))
  if (inStart) figures.killedInStart++
  const postmaster = round % 2 === 1 ? await postmasterPid() : undefined
  if (postmaster === undefined) figures.alone++
  else figures.withDatabase++
  app.kill('SIGKILL')
  if (postmaster !== undefined) endProcess(postmaster)
  expect(await app.ended).toBe('SIGKILL')
  app = start()
}

async function postmasterPid(): Promise<number | undefined> {
  const text = await readFile(join(storageDir, 'postgres/postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return pid > 1 ? pid : undefined
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself, as it does when its Node is gone.
  }
}

/** Whether every subscription is past the end of the log, by the metrics. */
async function fanOutIsDone(): Promise<boolean> {
  const { body } = await (await createClient(alice.url)).get('//metrics')
  const lags = [...String(body).matchAll(/^clientforge_subscription_lag_events\{.*\} (\d+)$/gm)]
  return lags.length > 0 && lags.every(([, lag]) => lag === '0')
}

const start = (): Process =>
  startProcess({ PORT: String(port), STORAGE_DIR: storageDir, DEMO_DATA: 'off', DATABASE_POOL: '6' })

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address ? address.port : 0
}
