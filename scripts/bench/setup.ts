import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { contact } from '../../backend/entities/contacts/contact.entity.ts'
import { startEmbedded } from '../../backend/kernel/db/embedded/server.ts'
import { roleUrl } from '../../backend/kernel/db/roles.ts'
import { documentSql } from '../../backend/kernel/entity/document.ts'
import { createLogger } from '../../backend/kernel/log.ts'
import { call, type Target } from './load.ts'

const root = join(import.meta.dirname, '../..')

/** A process of the app. */
export interface Running {
  readonly port: number
  readonly process: ChildProcess
  /** Milliseconds from the spawn until it was ready. */
  readonly startedIn: number
  stop(): Promise<void>
}

/** What is measured: a database with a tenant full of contacts, and the app in a process of its own. */
export interface House extends Target {
  readonly app: Running
  readonly folder: string
  readonly tenantId: string
  readonly userId: string
  readonly companyId: string
  readonly appUrl: string
  readonly workerUrl: string
  /** Sees everything. */
  readonly owner: pg.Client
  readonly postgresVersion: string
  /** Ends the app and starts it anew, as if nothing had been asked of it yet. */
  restart(): Promise<void>
  /** Waits until every event is digested by every subscription; seconds that it took. Throws after so many seconds, 60. */
  digested(patience?: number): Promise<number>
  close(): Promise<void>
}

/** How many contacts the tenant has before anything is measured. */
export const contactCount = 20_000

/** The id of a contact that was filled in, by its number from 1. */
export const contactId = (number: number): string => `0190a000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`

/** Last names, of which each is that of many contacts. */
export const lastNames: readonly string[] = [
  'Ash',
  'Birk',
  'Cald',
  'Dun',
  'Elm',
  'Fair',
  'Glen',
  'Hart',
  'Ing',
  'Kirk',
].flatMap((start) =>
  ['bury', 'combe', 'croft', 'field', 'ford', 'ham', 'ley', 'more', 'stead', 'worth'].map((end) => start + end),
)

/** Starts database and app in a folder of their own, and fills a tenant. */
export async function openHouse(nodeFlags: readonly string[]): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), 'clientforge-bench-'))
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const apps: Running[] = []
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      // The app may stand still for the peer's turn: it could not hear that it shall end.
      for (const running of apps) running.process.kill('SIGCONT')
      // What is under way fails now, as it must.
      process.on('uncaughtException', () => {})
      void close().finally(() => process.exit(1))
    })
  }
  try {
    const log = createLogger('error')
    const database = await startEmbedded({ storageDir: join(folder, 'database'), log, durable: true })
    ends.push(database.stop)
    const owner = new pg.Client({ connectionString: database.url })
    await owner.connect()
    ends.push(() => owner.end())
    const start = async (): Promise<Running> => {
      // As `npm start` does.
      const started = await startApp(['backend/main.ts'], ['--max-semi-space-size=8', ...nodeFlags], {
        DATABASE_URL: database.url,
        STORAGE_DIR: join(folder, 'app'),
        JWT_SECRET: 'a secret of the bench that is worth nothing',
        ENCRYPTION_KEY: '0'.repeat(64),
      })
      apps.push(started)
      ends.push(started.stop)
      return started
    }
    let app = await start()
    const { accessToken, tenant, user } = await register({ port: app.port, token: '' })
    const me = { port: app.port, token: accessToken }
    const companyId = await fillThroughTheApi(me)
    await fillBySql(owner, tenant.id, user.id, companyId)
    await untilDigested(owner, 300)
    await owner.query('vacuum analyze')
    const { rows } = await owner.query<{ server_version: string }>('show server_version')
    return {
      token: accessToken,
      get app() {
        return app
      },
      get port() {
        return app.port
      },
      restart: async () => {
        await app.stop()
        app = await start()
      },
      folder,
      tenantId: tenant.id,
      userId: user.id,
      companyId,
      appUrl: roleUrl(database.url, 'clientforge_app'),
      workerUrl: roleUrl(database.url, 'clientforge_worker'),
      owner,
      postgresVersion: rows[0]?.server_version ?? '',
      digested: (patience) => untilDigested(owner, patience),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Starts the app as a process in production mode, and waits until it is ready. */
export async function startApp(
  program: readonly string[],
  nodeFlags: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Running> {
  const port = await freePort()
  const started = performance.now()
  const child = spawn(process.execPath, [...nodeFlags, ...program], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_LEVEL: 'silent',
      HOST: '127.0.0.1',
      PORT: String(port),
      DEMO_DATA: 'off',
      // What is measured is how fast it could serve.
      RATE_LIMITS: 'off',
      ...environment,
    },
  })
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`the app ended with ${child.exitCode}`)
    await sleep(5)
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
  return { port, process: child, startedIn: performance.now() - started, stop }
}

/** Registers a tenant. */
export function register(anybody: Target): Promise<SignIn> {
  const body = {
    organization: 'Bench',
    name: 'Ada Bench',
    email: `ada.${Date.now()}@example.com`,
    password: 'correct horse battery',
  }
  return call<SignIn>(anybody, { method: 'POST', path: '/api/v1/auth/register', body, expect: 201 })
}

interface SignIn {
  readonly accessToken: string
  readonly tenant: { readonly id: string }
  readonly user: { readonly id: string }
}

/** Memory in MiB and processor time in seconds of an app so far; from its own metrics, which work everywhere. */
export async function usageOf(app: Running): Promise<{ memory: number; cpu: number }> {
  const response = await fetch(`http://127.0.0.1:${app.port}/metrics`)
  const metrics = await response.text()
  const read = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(metrics)?.[1])
  return { memory: read('process_resident_memory_bytes') / 2 ** 20, cpu: read('process_cpu_seconds_total') }
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** Companies, deals, tasks and notes, as people make them. Gives the id of a company. */
async function fillThroughTheApi(me: Target): Promise<string> {
  const bulk = (path: string, records: readonly object[]) =>
    call<{ results: { id: string }[] }>(me, {
      method: 'POST',
      path: `/api/v1/${path}/bulk`,
      body: { operations: records.map((data) => ({ op: 'create', data })), atomic: true },
      expect: 200,
    })
  const numbers = Array.from({ length: 500 }, (_value, index) => index)
  const companies = await bulk(
    'companies',
    lastNames.map((name) => ({ name: `${name} Ltd`, industry: 'Engineering' })),
  )
  const companyId = companies.results[0]?.id ?? ''
  await bulk(
    'deals',
    numbers.map((number) => ({ name: `${number} engines`, value: number * 100, companyId })),
  )
  await bulk(
    'tasks',
    numbers.map((number) => ({ title: `Send offer ${number}` })),
  )
  await bulk(
    'notes',
    numbers.map((number) => ({
      body: `They decide in week ${number}.`,
      related: [{ type: 'company', id: companyId }],
    })),
  )
  return companyId
}

/** Contacts with their events, so that timeline and search digest them as they do an import. */
async function fillBySql(owner: pg.Client, tenantId: string, userId: string, companyId: string): Promise<void> {
  await owner.query(
    `insert into contacts (tenant_id, id, first_name, last_name, email, phone, job_title, lead_score, source, owner_id, company_id,
                           created_at, updated_at, created_by_id)
     select $1::uuid, ('0190a000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Contact' || n % 500, ($4::text[])[1 + n % 100],
            'c' || n || '@example.com', '+442079460' || lpad((n % 1000)::text, 3, '0'), 'Engineer', n % 100, 'web', $2::uuid,
            case when n % 4 = 0 then $3::uuid end, now() - n * interval '1 minute', now() - n * interval '1 minute', $2::uuid
     from generate_series(1, ${contactCount}) n`,
    [tenantId, userId, companyId, lastNames],
  )
  await owner.query(
    `insert into events (tenant_id, id, lane, name, type, record_id, version, actor, request_id, operation_id, record)
     select r.tenant_id, gen_random_uuid(), 1, 'contact.created', 'contact', r.id, 1,
            jsonb_build_object('id', $2::uuid, 'type', 'user', 'name', 'Ada Bench'), 'bench', $2::uuid, ${documentSql(contact, 'jsonb')}
     from contacts r where r.tenant_id = $1::uuid`,
    [tenantId, userId],
  )
}

async function untilDigested(owner: pg.Client, patience = 60): Promise<number> {
  const started = performance.now()
  for (;;) {
    const { rows } = await owner.query<{ behind: boolean }>(
      `select exists (select 1 from event_cursors c, lateral (
         select 1 from events e where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq) limit 1) later) as behind`,
    )
    if (rows[0]?.behind === false) return (performance.now() - started) / 1_000
    if (performance.now() - started > patience * 1_000)
      throw new Error(`the subscriptions are still behind after ${patience} s`)
    await sleep(10)
  }
}

/** Makes a folder below the house's own. */
export async function folderIn(house: House, name: string): Promise<string> {
  const folder = join(house.folder, name)
  await mkdir(folder, { recursive: true })
  return folder
}
