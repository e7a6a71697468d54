import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { prepareBinaries } from './binaries.ts'
import { findServers, isZombie, processMark, until } from './processes.ts'
import { type Embedded, startEmbedded } from './server.ts'

const log = pino({ level: 'silent' })
let storageDir: string
let cleanups: (() => Promise<unknown>)[]

beforeEach(async () => {
  storageDir = await mkdtemp(join(tmpdir(), 'clientforge-test-'))
  await chmod(storageDir, 0o755)
  cleanups = [() => rm(storageDir, { recursive: true, force: true })]
})

afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

test('the first start makes the database and a restart keeps what is in it', async () => {
  const first = await start()
  await query(first.url, 'create table kept as select 42 as answer')
  const [locale] = await query(
    first.url,
    `select lower('ÄÖŁ') as lower, 'é' < 'f' as accents, current_setting('fsync') as fsync`,
  )
  expect(locale).toEqual({ lower: 'äöł', accents: true, fsync: 'on' })
  await first.stop()
  expect(await first.exited).toEqual({ code: 0, signal: null })
  expect(await findServers(first.dataDir)).toEqual([])
  expect((await stat(join(storageDir, 'postgres.password'))).mode & 0o777).toBe(0o600)

  const second = await start()
  expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
})

test('a second start while the first runs is refused by naming its process, and disturbs nothing', async () => {
  const first = await start()
  await expect(start()).rejects.toThrow(`is in use by process ${process.pid}`)
  expect(await query(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('of several first starts at once one wins', async () => {
  const outcomes = await Promise.allSettled([start(), start(), start()])
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('Ctrl-C passes the database by, and it ends cleanly when its owner is killed with signal 9', async () => {
  const owner = await startOwner()
  await query(owner.url, 'create table kept as select 1 as one')
  const postmaster = Number.parseInt(await readFile(join(owner.dataDir, 'postmaster.pid'), 'utf8'), 10)
  process.kill(await watcherOf(postmaster), 'SIGTERM')
  const { pid } = owner.child
  if (pid === undefined) throw new Error('the owner has no number')
  process.kill(-pid, 'SIGINT')
  expect(await owner.said('SIGINT')).toBe(true)
  expect(await query(owner.url, 'select one from kept')).toEqual([{ one: 1 }])

  owner.child.kill('SIGKILL')
  await once(owner.child, 'exit')
  const next = await start()
  expect(await query(next.url, 'select one from kept')).toEqual([{ one: 1 }])
  expect(await readFile(join(storageDir, 'postgres.log'), 'utf8')).not.toMatch(/was interrupted|terminated by signal/)
})

test('a server whose owner and watcher both died is ended and its data taken over', async () => {
  const owner = await startOwner()
  await query(owner.url, 'create table kept as select 1 as one')
  const postmaster = Number.parseInt(await readFile(join(owner.dataDir, 'postmaster.pid'), 'utf8'), 10)
  // Stopped, the watcher cannot act on the death of its owner.
  const watcher = await watcherOf(postmaster)
  process.kill(watcher, 'SIGSTOP')
  cleanups.push(async () => process.kill(watcher, 'SIGKILL'))
  owner.child.kill('SIGKILL')
  await once(owner.child, 'exit')
  expect(await findServers(owner.dataDir)).toContain(postmaster)

  const next = await start()
  expect(await query(next.url, 'select one from kept')).toEqual([{ one: 1 }])
  expect(await findServers(owner.dataDir)).not.toContain(postmaster)
})

test('after a crash of owner and server the next start recovers', async () => {
  const owner = await startOwner()
  await query(owner.url, 'create table kept as select 1 as one')
  const postmaster = Number.parseInt(await readFile(join(owner.dataDir, 'postmaster.pid'), 'utf8'), 10)
  // Stopped, the owner does not reap the server: what is left of it still answers to signals.
  owner.child.kill('SIGSTOP')
  process.kill(postmaster, 'SIGKILL')
  expect(await until(5_000, () => isZombie(postmaster))).toBe(true)
  owner.child.kill('SIGKILL')
  await once(owner.child, 'exit')

  const next = await start()
  expect(await query(next.url, 'select one from kept')).toEqual([{ one: 1 }])
  expect(await readFile(join(storageDir, 'postgres.log'), 'utf8')).toContain('automatic recovery in progress')
})

test('a lock file that still says ready and names a living stranger is not believed', async () => {
  const first = await start()
  const lines = (await readFile(join(first.dataDir, 'postmaster.pid'), 'utf8')).split('\n')
  await first.stop()
  // The stranger is this test, as a number is given again after a container restarts.
  await writeFile(join(first.dataDir, 'postmaster.pid'), [process.pid, ...lines.slice(1)].join('\n'))
  const mark = `another boot:${await processMark(process.pid)}`
  await writeFile(join(storageDir, 'postgres.owner.json'), JSON.stringify({ pid: process.pid, mark, socketDir: '' }))
  const next = await start()
  expect(await query(next.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a cluster whose making was cut short is made again', async () => {
  const child = spawnOwner()
  // initdb writes PG_VERSION early and is busy for a while after it.
  const begun = async () => {
    const folder = (await readdir(storageDir)).find((name) => name.startsWith('postgres.new-'))
    return folder !== undefined && (await exists(join(storageDir, folder, 'PG_VERSION')))
  }
  expect(await until(20_000, begun)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await exists(join(storageDir, 'postgres'))).toBe(false)

  const next = await start()
  expect(await query(next.url, 'select 1 as one')).toEqual([{ one: 1 }])
  expect((await readdir(storageDir)).filter((name) => name.startsWith('postgres.new-'))).toEqual([])
})

test('a folder that is no cluster is left alone', async () => {
  await mkdir(join(storageDir, 'postgres'))
  await writeFile(join(storageDir, 'postgres', 'letter.txt'), 'dear')
  await expect(start()).rejects.toThrow('is not a PostgreSQL data folder')
  expect(await readFile(join(storageDir, 'postgres', 'letter.txt'), 'utf8')).toBe('dear')
})

test.runIf(process.getuid?.() === 0)('as root, data goes where the database user can enter', async () => {
  await chmod(storageDir, 0o700)
  const first = await start()
  const home = (await readFile(join(storageDir, 'postgres.location'), 'utf8')).trim()
  cleanups.splice(1, 0, () => rm(home, { recursive: true, force: true }))
  expect(first.dataDir).toBe(join(home, 'postgres'))
  expect((await stat(first.dataDir)).uid).not.toBe(0)
  await query(first.url, 'create table kept as select 1 as one')
  await first.stop()

  const second = await start()
  expect(await query(second.url, 'select one from kept')).toEqual([{ one: 1 }])
  await second.stop()

  await rm(home, { recursive: true })
  await expect(start()).rejects.toThrow('which does not exist')
})

test.runIf(process.getuid?.() === 0)(
  'as root, programs in a closed folder are copied and their links made',
  async () => {
    const installed = (await prepareBinaries({ home: storageDir, ids: undefined, log })).postgres
    const closed = join(storageDir, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const packageDir = join(closed, 'package')
    // As npm leaves it when it was told to run no scripts: without a single link.
    const cp = spawn('sh', [
      '-c',
      'cp -r "$1" "$2" && find "$2" -type l -delete',
      'sh',
      join(installed, '../../..'),
      packageDir,
    ])
    expect((await once(cp, 'exit'))[0]).toBe(0)
    const copied = await prepareBinaries({ home: storageDir, ids: { uid: 65534, gid: 65534 }, log, packageDir })
    expect(copied.postgres.startsWith(closed)).toBe(false)
    expect(copied.postgres.startsWith(storageDir)).toBe(true)
  },
)

async function start(): Promise<Embedded> {
  const server = await startEmbedded({ storageDir, log })
  cleanups.push(server.stop)
  return server
}

async function query(url: string, text: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

const OWNER = `
  import { pino } from 'pino'
  import { startEmbedded } from './server.ts'
  const server = await startEmbedded({ storageDir: process.argv[1], log: pino({ level: 'silent' }) })
  process.on('SIGINT', () => console.log('SIGINT'))
  console.log(JSON.stringify({ url: server.url, dataDir: server.dataDir }))
`

/** Another Node, in a process group of its own as a shell would give it, that never stops the database. */
function spawnOwner(): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', OWNER, storageDir], {
    cwd: import.meta.dirname,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(async () => child.kill('SIGKILL'))
  return child
}

const ownerShape = z.object({ url: z.string(), dataDir: z.string() })

async function startOwner() {
  const child = spawnOwner()
  if (child.stdout === null) throw new Error('no output')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const { url, dataDir } = ownerShape.parse(JSON.parse((await lines.next()).value ?? ''))
  return { child, url, dataDir, said: async (text: string) => (await lines.next()).value === text }
}

async function watcherOf(postmaster: number): Promise<number> {
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
  for (const pid of children.trim().split(' ').map(Number)) {
    if ((await readFile(`/proc/${pid}/comm`, 'utf8')).trim() === 'sh') return pid
  }
  throw new Error('no watcher')
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
