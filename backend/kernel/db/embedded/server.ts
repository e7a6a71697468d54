import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Logger } from 'pino'
import { prepareBinaries } from './binaries.ts'
import { ensureCluster } from './cluster.ts'
import { canEnter, findPlace, type Ids } from './identity.ts'
import { type Exit, launch } from './launch.ts'
import { claimData, endLeftover, SOCKET_PREFIX } from './leftover.ts'

/** The bundled PostgreSQL while it runs under this process. */
export type Embedded = {
  /** The owner's connection string to the database `clientforge`. */
  url: string
  dataDir: string
  /** Fulfilled when the server ends, asked for or not. */
  exited: Promise<Exit>
  stop(): Promise<void>
}

/** Starts the bundled PostgreSQL on the data of a storage folder, making both on the first start. */
export async function startEmbedded(options: {
  storageDir: string
  log: Logger
  durable?: boolean
  /** Called once, as soon as what remains is to wait for the programs of PostgreSQL. */
  onWaiting?: () => void
}): Promise<Embedded> {
  const { storageDir, log, durable = true, onWaiting = () => {} } = options
  const place = await findPlace(storageDir, log)
  const address = await chooseAddress(place.ids, place.home)
  const claim = await claimData(place.home, address.host).catch(async (error: unknown) => {
    await address.release()
    throw error
  })
  const giveUp = async () => {
    await address.release()
    await claim.release()
  }
  try {
    await endLeftover(place.dataDir, log)
    const binaries = await prepareBinaries({ home: place.home, ids: place.ids, log })
    const password = await ensureCluster(place, binaries, durable, onWaiting)
    const settings = [...address.settings, ...SETTINGS, ...(durable ? [] : FORGETFUL)]
    const server = await launch({ place, binaries, settings, log })
    const stop = once(async () => {
      await server.stop()
      await giveUp()
    })
    const url = (database: string) => `postgres://postgres:${password}@${address.place(database)}`
    await ensureDatabase(url('template1')).catch(async (error: unknown) => {
      await stop()
      throw error
    })
    return { url: url(DATABASE), dataDir: place.dataDir, exited: server.exited, stop }
  } catch (error) {
    await giveUp()
    throw error
  }
}

const DATABASE = 'clientforge'

/**
 * Errors of statements are the application's to log: PostgreSQL would write the values of the record with them.
 */
const SETTINGS = [
  'max_connections=100',
  'shared_buffers=128MB',
  'wal_compression=on',
  'log_min_messages=log',
  'log_min_error_statement=panic',
  'log_checkpoints=off',
].flatMap((setting) => ['-c', setting])

/** For tests only: a crash of the machine loses the cluster, and several apps at once have their pools and queues in it. */
const FORGETFUL = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=400'].flatMap(
  (setting) => ['-c', setting],
)

type Address = { host: string; settings: string[]; place(database: string): string; release(): Promise<void> }

async function chooseAddress(ids: Ids | undefined, home: string): Promise<Address> {
  if (process.platform === 'win32') return loopbackAddress()
  // A socket's path has at most 107 bytes (103 on macOS), and TMPDIR may be deep or closed to the server's user.
  const fits = (folder: string) => Buffer.byteLength(join(folder, `${SOCKET_PREFIX}XXXXXX/.s.PGSQL.5432.lock`)) <= 103
  const folder = [tmpdir(), '/tmp', home].find((candidate) => fits(candidate) && canEnter(candidate, ids))
  if (folder === undefined) throw new Error('No folder for the socket of the database: set TMPDIR to a short path')
  const host = await mkdtemp(join(folder, SOCKET_PREFIX))
  if (ids !== undefined) await chown(host, ids.uid, ids.gid)
  return {
    host,
    settings: ['-k', host, '-p', '5432', '-c', 'listen_addresses='],
    // Port and TLS are spelled out, or PGPORT and PGSSLMODE of the shell would decide.
    place: (database) => `/${database}?host=${encodeURIComponent(host)}&port=5432&sslmode=disable`,
    release: () => rm(host, { recursive: true, force: true }),
  }
}

/** Not exercised: on Windows the server listens on a free port of the loopback interface. */
async function loopbackAddress(): Promise<Address> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const probe = createServer().once('error', reject).listen(0, '127.0.0.1', resolve)
  await promise
  const address = probe.address()
  const port = typeof address === 'object' && address !== null ? address.port : 5432
  probe.close()
  return {
    host: '127.0.0.1',
    settings: ['-p', String(port), '-c', 'listen_addresses=127.0.0.1'],
    place: (database) => `127.0.0.1:${port}/${database}?sslmode=disable`,
    release: async () => {},
  }
}

/**
 * The database that initdb made for the user `postgres` becomes ours, which spares the first start the copying of one.
 * Asked at each start and not only after initdb, as the first start may have died between the two.
 */
async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  // A server that dies meanwhile is seen by its exit; without a listener the error would end this process.
  client.on('error', () => {})
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`alter database postgres rename to ${DATABASE}`)
  } finally {
    await client.end()
  }
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= action()
    return running
  }
}
