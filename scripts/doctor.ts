import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import pg from 'pg'
import { type Config, loadConfig } from '../backend/config.ts'
import { startEmbedded } from '../backend/kernel/db/embedded/server.ts'
import { migrationStatus } from '../backend/kernel/db/migrate.ts'
import { refuseUnsafeRole, roleUrl } from '../backend/kernel/db/roles.ts'
import { createLogger } from '../backend/kernel/log.ts'

const oldestNode = [24, 15]
const oldestPostgres = 15
let problems = 0

if (existsSync('.env')) process.loadEnvFile('.env')
await look('Node', checkNode)
const config = await look('configuration', loadConfigQuietly)
if (config) {
  await look('storage', () => checkStorage(config))
  await lookAtDatabase(config)
}
process.exitCode = problems > 0 ? 1 : 0

/** One line of the table; gives what was looked at, or undefined when there is a problem with it. */
async function look<T extends string | Config>(what: string, check: () => Promise<T> | T): Promise<T | undefined> {
  try {
    const found = await check()
    console.log(`ok       ${what.padEnd(14)} ${typeof found === 'string' ? found : 'complete'}`)
    return found
  } catch (error) {
    problems++
    const message = error instanceof Error ? error.message : String(error)
    console.log(`PROBLEM  ${what.padEnd(14)} ${message.replaceAll('\n', `\n${' '.repeat(24)}`)}`)
    return undefined
  }
}

function checkNode(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [wanted = 0, least = 0] = oldestNode
  if (major > wanted || (major === wanted && minor >= least)) return process.versions.node
  throw new Error(`this is ${process.versions.node} and ${oldestNode.join('.')} is needed: npm ci brings one`)
}

/** The secrets that a first start would make are not made here. */
function loadConfigQuietly(): Config {
  const placeholder = '0'.repeat(64)
  const { JWT_SECRET, ENCRYPTION_KEY, DATABASE_URL, NODE_ENV } = process.env
  if (DATABASE_URL && NODE_ENV === 'production') return loadConfig()
  return loadConfig({
    ...process.env,
    JWT_SECRET: JWT_SECRET || placeholder,
    ENCRYPTION_KEY: ENCRYPTION_KEY || placeholder,
  })
}

function checkStorage({ storageDir }: Config): string {
  mkdirSync(storageDir, { recursive: true })
  accessSync(storageDir, constants.R_OK | constants.W_OK | constants.X_OK)
  return storageDir
}

async function lookAtDatabase({ database, storageDir }: Config): Promise<void> {
  const url = database.directUrl
  let embedded: Awaited<ReturnType<typeof startEmbedded>> | undefined
  try {
    embedded = url === undefined ? await startEmbedded({ storageDir, log: createLogger('silent') }) : undefined
    const ownerUrl = url ?? embedded?.url ?? ''
    const reached = await look('database', () => onDatabase(ownerUrl, checkVersion))
    if (reached === undefined) return
    await look('migrations', () => checkMigrations(ownerUrl))
    // Before the first start there are neither roles nor tables, and that is no problem.
    if ((await migrationStatus({ ownerUrl })).every(({ state }) => state === 'pending')) return
    const role = (name: string) => roleUrl(database.url ?? ownerUrl, `${database.rolePrefix}${name}`)
    await look('app role', () => onDatabase(database.appUrl ?? role('app'), checkRole))
    await look('worker role', () => onDatabase(database.workerUrl ?? role('worker'), checkRole))
    await look('parked events', () => onDatabase(ownerUrl, checkParked))
  } catch (error) {
    await look('database', () => {
      const message = error instanceof Error ? error.message : String(error)
      const running = /is in use by process \d+/.exec(message)
      if (!running) throw error
      return `${running[0]}: its /health tells more`
    })
  } finally {
    await embedded?.stop()
  }
}

async function checkVersion(client: pg.Client): Promise<string> {
  const { rows } = await client.query("select current_setting('server_version') as version")
  const version: string = rows[0].version
  if (Number.parseInt(version, 10) >= oldestPostgres) return `PostgreSQL ${version}`
  throw new Error(`this is PostgreSQL ${version} and ${oldestPostgres} is needed`)
}

async function checkMigrations(ownerUrl: string): Promise<string> {
  const all = await migrationStatus({ ownerUrl })
  const wrong = all.filter(({ state }) => state === 'edited' || state === 'missing')
  if (wrong.length > 0) throw new Error(wrong.map(({ name, state }) => `${name} is ${state}`).join('\n'))
  const pending = all.filter(({ state }) => state === 'pending')
  if (pending.length === 0) return `${all.length} applied`
  return `${all.length - pending.length} applied, ${pending.length} pending: the next start applies them`
}

async function checkRole(client: pg.Client): Promise<string> {
  await refuseUnsafeRole(client)
  return `${client.user} is held back by row-level security`
}

async function checkParked(client: pg.Client): Promise<string> {
  const { rows } = await client.query('select count(*)::integer as parked from parked_events')
  if (rows[0].parked === 0) return 'none'
  throw new Error(`${rows[0].parked} wait for an operator: npm run parked -- list`)
}

async function onDatabase(url: string, check: (client: pg.Client) => Promise<string>): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return await check(client)
  } finally {
    await client.end()
  }
}
