import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { asOwner } from './app.ts'
import { createCast, password } from './cast.ts'
import { type Client, createClient, eventually } from './client.ts'
import { withDatabase } from './global.setup.ts'
import { type Process, startProcess } from './process.ts'

const database = `processes_${randomBytes(6).toString('hex')}`
const server = inject('ownerUrl')
const ownerUrl = withDatabase(server, database)
let storageDir: string
let webs: Process[] = []
let workers: Process[] = []
let alice: Client
let elsewhere: Client

beforeAll(async () => {
  storageDir = await mkdtemp(join(tmpdir(), 'clientforge-processes-'))
  await asOwner(server, (client) => client.query(`create database ${database}`))
  const start = (ROLE: string): Process =>
    startProcess({ ROLE, PORT: '0', DATABASE_URL: ownerUrl, STORAGE_DIR: storageDir, DATABASE_POOL: '4' })
  webs = [start('web'), start('web')]
  workers = [start('worker'), start('worker')]
  const [here = '', there = ''] = await Promise.all([...webs, ...workers].map((one) => one.url))
  const cast = await createCast(here)
  alice = cast.alice
  elsewhere = await signIn(there, alice.email)
})
afterAll(async () => {
  for (const one of [...webs, ...workers]) one.kill('SIGKILL')
  await Promise.all([...webs, ...workers].map((one) => one.ended))
  await asOwner(server, (client) => client.query(`drop database if exists ${database} with (force)`))
  await rm(storageDir, { recursive: true, force: true })
})

test('four processes that start at once on an empty database migrate it once', async () => {
  const files = (await readdir(join(import.meta.dirname, '../../database/migrations'))).map((file) =>
    file.replace(/\.\w+$/, ''),
  )
  const applied = await asOwner(ownerUrl, (client) => client.query('select name from migrations order by name'))
  expect(applied.rows.map((row) => row.name)).toEqual(files.toSorted())
})

test('a socket at one process hears what is written at the other', async () => {
  const heard: { id: string; version: number }[] = []
  const socket = io(elsewhere.url, { path: '/ws', transports: ['websocket'], auth: { token: elsewhere.token } })
  try {
    socket.on('record:created', (message) => heard.push(message))
    socket.on('record:updated', (message) => heard.push(message))
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject))
    expect(await socket.timeout(5_000).emitWithAck('subscribe', { type: 'contact' })).toEqual({ ok: true })
    const contact = await alice.build('contact')
    await alice.patch(`/contacts/${contact.id}`, { jobTitle: 'Countess' })
    await eventually(async () => heard.length >= 2, 'both messages')
    expect(heard).toMatchObject([
      { id: contact.id, version: 1 },
      { id: contact.id, version: 2 },
    ])
  } finally {
    socket.disconnect()
  }
})

test('each event is handled once, wherever it was written', async () => {
  await writeAndFollow(12)
})

test('a change of rights at one process is in force at the other', async () => {
  const email = `vera.${randomBytes(4).toString('hex')}@example.com`
  const made = await alice.post('/users', { name: 'Vera', email, role: 'member', password })
  const vera = await signIn(elsewhere.url, email)
  expect((await vera.post('/contacts', { lastName: 'Before' })).status).toBe(201)
  await alice.patch(`/users/${made.body.id}`, { role: 'viewer' })
  await eventually(async () => (await vera.post('/contacts', { lastName: 'After' })).status === 403, 'the refusal')
})

test('when the leading worker is killed the other one takes over', async () => {
  const leads = await Promise.all(workers.map(async (worker) => leading(await worker.url)))
  const all = leads.reduce((sum, one) => sum + one, 0)
  expect(all).toBeGreaterThan(0)
  const [leader, heir] = (leads[0] ?? 0) >= (leads[1] ?? 0) ? workers : workers.toReversed()
  if (!leader || !heir) throw new Error('there are no workers')
  const written = writeAndFollow(12)
  leader.kill('SIGKILL')
  expect(await leader.ended).toBe('SIGKILL')
  const heirUrl = await heir.url
  await eventually(async () => (await leading(heirUrl)) === all, 'the takeover')
  await written
  await writeAndFollow(4)
})

test('SIGTERM ends each process in order', async () => {
  // After 9.5 seconds a process would give up and end with 1.
  const living = [...webs, ...workers.filter((worker) => worker.pid > 0 && isAlive(worker.pid))]
  expect(living.length).toBe(3)
  for (const one of living) one.kill('SIGTERM')
  expect(await Promise.all(living.map((one) => one.ended))).toEqual([0, 0, 0])
})

/** Writes at both web processes in turn; each version of each record becomes one activity. */
async function writeAndFollow(count: number): Promise<void> {
  const ids = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [here, there] = index % 2 === 0 ? [alice, elsewhere] : [elsewhere, alice]
      const { id } = await here.build('deal')
      await there.patch(`/deals/${id}`, { value: 1 })
      await here.post(`/deals/${id}/win`)
      return id
    }),
  )
  for (const id of ids) {
    await alice.timeline('deal', id, 3)
    const rows = await asOwner(ownerUrl, async (client) => {
      const { rows } = await client.query('select version from activities where entity_id = $1 order by version', [id])
      return rows
    })
    expect(rows.map((row) => row.version)).toEqual([1, 2, 3])
  }
}

async function leading(url: string): Promise<number> {
  const { body } = await (await createClient(url)).get('//health')
  return body.dependencies.subscriptions.detail.leading
}

async function signIn(url: string, email: string): Promise<Client> {
  const answer = await (await createClient(url)).post('/auth/login', { email, password })
  expect(answer.status).toBe(200)
  return createClient(url, answer.body)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
