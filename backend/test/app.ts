import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { type App, type Extra, startApp } from '../app.ts'
import { type Config, loadConfig } from '../config.ts'
import { createLogger, type Logger } from '../kernel/log.ts'
import { type Cast, createCast, platformAdmin } from './cast.ts'
import { eventually } from './client.ts'
import { withDatabase } from './global.setup.ts'

/** The real thing on a database of its own, with people who use it. */
export interface TestApp extends Cast {
  readonly app: App
  readonly url: string
  /** The owner's connection string to this app's database: sees everything, for looking behind the curtain. */
  readonly ownerUrl: string
  readonly config: Config
  /** Starts a second process's worth of app on the same database. */
  another(options?: TestOptions): Promise<App>
  stop(): Promise<void>
}

export interface TestOptions extends Extra {
  /** Variables of the environment that differ from the test's own. */
  readonly environment?: Readonly<Record<string, string>>
  readonly log?: Logger
}

/** Starts the app on a clone of the migrated template, on a free port. Stop it in `afterAll`. */
export async function startTestApp(options: TestOptions = {}): Promise<TestApp> {
  const database = `test_${randomBytes(6).toString('hex')}`
  const server = inject('ownerUrl')
  await asOwner(server, (client) => client.query(`create database ${database} template ${inject('template')}`))
  const ownerUrl = withDatabase(server, database)
  const storageDir = await mkdtemp(join(tmpdir(), 'clientforge-app-'))
  const configFor = ({ environment = {} }: TestOptions): Config =>
    loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      NODE_ENV: 'test',
      DATABASE_URL: ownerUrl,
      STORAGE_DIR: storageDir,
      DATABASE_POOL: '6',
      RATE_LIMITS: 'off',
      PLATFORM_ADMIN_EMAIL: platformAdmin.email,
      PLATFORM_ADMIN_PASSWORD: platformAdmin.password,
      LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
      ...environment,
    })
  const start = (chosen: TestOptions): Promise<App> =>
    startApp(configFor(chosen), chosen.log ?? createLogger(process.env.TEST_LOG_LEVEL ?? 'silent'), chosen)
  const app = await start(options)
  const others: App[] = []
  return {
    ...(await createCast(app.url)),
    app,
    url: app.url,
    ownerUrl,
    config: configFor(options),
    another: async (chosen = {}) => {
      const other = await start(chosen)
      others.push(other)
      return other
    },
    stop: async () => {
      await Promise.all([app, ...others].map((one) => one.stop()))
      await dropDatabase(server, database)
      await rm(storageDir, { recursive: true, force: true })
    },
  }
}

/** A session whose client is gone may take a moment to end on a busy server, and a plain owner may not end it for another role. */
async function dropDatabase(server: string, database: string): Promise<void> {
  await eventually(async () => {
    try {
      await asOwner(server, (client) => client.query(`drop database if exists ${database} with (force)`))
      return true
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === insufficientPrivilege) return false
      throw error
    }
  }, `the end of every session of ${database}`)
}

const insufficientPrivilege = '42501'

/** Runs something as the owner of a database, who sees all tenants. */
export async function asOwner<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
