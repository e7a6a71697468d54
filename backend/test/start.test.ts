import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { environmentSchema } from '../config.ts'
import { asOwner } from './app.ts'
import { createCast } from './cast.ts'
import { createClient, eventually } from './client.ts'
import { withDatabase } from './global.setup.ts'
import { type Process, startProcess } from './process.ts'

const server = inject('ownerUrl')
const database = `start_${randomBytes(6).toString('hex')}`
const ownerUrl = withDatabase(server, database)
const started: Process[] = []
let storageDir: string

beforeAll(async () => {
  storageDir = await mkdtemp(join(tmpdir(), 'clientforge-start-'))
  // The embedded server runs as another user when the test is root's.
  await chmod(storageDir, 0o755)
  await asOwner(server, (client) => client.query(`create database ${database} template ${inject('template')}`))
})
afterAll(async () => {
  for (const one of started) one.kill('SIGKILL')
  await Promise.all(started.map((one) => one.ended))
  await asOwner(server, (client) => client.query(`drop database if exists ${database} with (force)`))
  await rm(storageDir, { recursive: true, force: true })
})

test('a wrong configuration stops the start and is told completely', async () => {
  const wrong = start({
    PORT: '70000',
    ROLE: 'boss',
    DATABASE_URL: 'mysql://there',
    JWT_SECRET: 'short',
    LOG_LEVEL: 'loud',
  })
  expect(await wrong.ended).toBe(1)
  for (const name of ['PORT', 'ROLE', 'DATABASE_URL', 'JWT_SECRET', 'LOG_LEVEL'])
    expect(wrong.output).toContain(`${name}: `)

  const production = start({ NODE_ENV: 'production', DATABASE_URL: ownerUrl, PORT: 'none' })
  expect(await production.ended).toBe(1)
  for (const name of ['JWT_SECRET', 'ENCRYPTION_KEY', 'PORT']) expect(production.output).toContain(`${name}: `)
})

test('.env.example shows every variable with its sentence', async () => {
  const variables = Object.entries(environmentSchema.shape).map(([name, schema]) => {
    const fallback = schema.parse(undefined)
    return `# ${schema.description}\n#${name}=${fallback === undefined ? '' : String(fallback)}\n`
  })
  const head = '# Copy to .env and take out the # before what you set. Everything here is optional.\n'
  await expect([head, ...variables].join('\n')).toMatchFileSnapshot('../../.env.example')
})

test('an installation keeps its data and its secrets over a restart', async () => {
  const first = start({ STORAGE_DIR: storageDir, DEMO_DATA: 'off' })
  const { alice } = await createCast(await first.url)
  const contact = await alice.build('contact')
  first.kill('SIGINT')
  expect(await first.ended).toBe(0)

  const second = start({ STORAGE_DIR: storageDir, DEMO_DATA: 'off' })
  const url = await second.url
  const again = await fetch(`${url}/api/v1/contacts/${contact.id}`, {
    headers: { authorization: `Bearer ${alice.token}` },
  })
  expect([again.status, await again.json()]).toEqual([200, contact])
  const refreshed = await (await createClient(url)).post('/auth/refresh', { refreshToken: alice.refreshToken })
  expect(refreshed.status).toBe(200)
  second.kill('SIGTERM')
  expect(await second.ended).toBe(0)
})

test('SIGINT lets a request that has begun end well, and stops the database last', async () => {
  const app = start({ STORAGE_DIR: storageDir, DEMO_DATA: 'off', LOG_LEVEL: 'info' })
  const { alice } = await createCast(await app.url)
  const body = JSON.stringify({ lastName: 'Late' })
  const posted = request(`${await app.url}/api/v1/contacts`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${alice.token}`,
      'content-type': 'application/json',
      'content-length': body.length,
      // Its answer tells that the server has begun with the request.
      expect: '100-continue',
    },
  })
  posted.flushHeaders()
  await once(posted, 'continue')
  app.kill('SIGINT')
  await eventually(async () => app.output.includes('"stopping"'), 'the beginning of the stop')
  posted.end(body)
  const [answer] = await once(posted, 'response')
  answer.resume()
  expect(answer.statusCode).toBe(201)
  // After 9.5 seconds it would give up and end with 1.
  expect(await app.ended).toBe(0)
  expect(app.output).not.toMatch(/"level":[456]0/)
})

test('a signal to npm ends the app, though the shell between them passes none on', async () => {
  const shell = "require('node:child_process').spawn(process.execPath, ['scripts/start.mjs'], { stdio: 'inherit' })"
  const npm = { npm_lifecycle_event: 'start', DATABASE_URL: ownerUrl, STORAGE_DIR: storageDir, LOG_LEVEL: 'info' }
  const app = start(npm, ['-e', shell])
  const url = await app.url
  app.kill('SIGTERM')
  // Fulfilled when nobody holds its output any more: not before the app is gone.
  await app.ended
  await expect(fetch(`${url}/health/live`)).rejects.toThrow('fetch failed')
  expect(app.output).toContain('"stopped"')
})

test('with DATABASE_URL no demo data is made', async () => {
  const app = start({ DATABASE_URL: ownerUrl, STORAGE_DIR: storageDir })
  await app.url
  app.kill('SIGTERM')
  expect(await app.ended).toBe(0)
  expect(app.output).not.toContain('demo sign-in')
  const { rows } = await asOwner(ownerUrl, (client) => client.query('select from tenants'))
  expect(rows).toEqual([])
})

test('an application role that row-level security does not hold back is refused, and left as it is', async () => {
  const roleOf = () =>
    asOwner(ownerUrl, async (client) => {
      const { rows } = await client.query('select rolname, rolconfig from pg_roles where rolname = current_user')
      return rows[0]
    })
  const before = await roleOf()
  for (const variable of ['DATABASE_APP_URL', 'DATABASE_WORKER_URL']) {
    const app = start({ DATABASE_URL: ownerUrl, [variable]: ownerUrl, STORAGE_DIR: storageDir })
    expect(await app.ended).toBe(1)
    expect(app.output).toContain('tenants would not be kept apart')
  }
  expect(await roleOf()).toEqual(before)
})

test('the doctor finds a sound installation sound, and tells what is wrong with another', async () => {
  const sound = start({ DATABASE_URL: ownerUrl, STORAGE_DIR: storageDir }, ['scripts/doctor.ts'])
  expect([await sound.ended, sound.output]).toEqual([0, expect.stringMatching(/ok +migrations +\d+ applied\n/)])
  const closed = start({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', STORAGE_DIR: storageDir }, [
    'scripts/doctor.ts',
  ])
  expect([await closed.ended, closed.output]).toEqual([1, expect.stringMatching(/PROBLEM +database +.*ECONNREFUSED/)])
})

function start(environment: Record<string, string>, command?: readonly string[]): Process {
  const one = startProcess({ PORT: '0', ...environment }, command)
  started.push(one)
  return one
}
