import { appendFile, chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from './embedded/server.ts'
import { type MigrateOptions, migrate, migrationStatus, rollback } from './migrate.ts'
import { refuseUnsafeRole, roleUrl } from './roles.ts'

const log = pino({ level: 'silent' })
let storageDir: string
let server: Embedded
let dir: string
let options: MigrateOptions & { rolePrefix: string; dir: string }
let number = 0

beforeAll(async () => {
  storageDir = await mkdtemp(join(tmpdir(), 'clientforge-test-'))
  // Run by root, the data would otherwise go to a folder outside that the database user can enter.
  await chmod(storageDir, 0o755)
  server = await startEmbedded({ storageDir, log, durable: false })
})

afterAll(async () => {
  await server?.stop()
  await rm(storageDir, { recursive: true, force: true })
})

// Each test has a database, an owner that is no superuser, a prefix and a folder of its own.
beforeEach(async () => {
  number += 1
  dir = await mkdtemp(join(tmpdir(), 'clientforge-test-'))
  await query(server.url, `create role owner${number} login createrole password 'se:cr@t/ %1'`)
  await query(server.url, `create database db${number} owner owner${number}`)
  options = { ownerUrl: ownerUrl('se:cr@t/ %1'), rolePrefix: `t${number}_`, log, dir }
  await writeMigration('0001_first.sql', 'create table first (id int)', 'drop table first')
  await writeMigration(
    '0002_second.sql',
    `do $$ begin
    execute format('grant select on first to %I', current_setting('clientforge.role_prefix') || 'app');
  end $$`,
  )
})

afterEach(() => rm(dir, { recursive: true, force: true }))

test('what is pending is applied once, however many processes begin at the same time', async () => {
  // Built concurrently, the index waits for every snapshot: those who wait for their turn must hold none.
  await writeFile(
    join(dir, '0003_index.ts'),
    `
    export function up(pgm) { pgm.noTransaction(); pgm.sql('create index concurrently first_id on first (id)') }
    export function down(pgm) { pgm.noTransaction(); pgm.sql('drop index concurrently first_id') }`,
  )
  const outcomes = await Promise.all([1, 2, 3, 4].map(() => migrate(options)))
  expect(outcomes.flatMap(({ applied }) => applied)).toEqual(['0001_first', '0002_second', '0003_index'])
  expect(await migrate(options)).toEqual({ applied: [] })
  expect((await migrationStatus(options)).map(({ name, state }) => `${name} ${state}`)).toEqual([
    '0001_first applied',
    '0002_second applied',
    '0003_index applied',
  ])
  expect(await query(options.ownerUrl, 'select count(*)::int as sums from migration_checksums')).toEqual([{ sums: 3 }])
})

test('two installations on one server make their roles at the same time', async () => {
  await query(server.url, `create database twin${number} owner owner${number}`)
  const twin = { ...options, ownerUrl: options.ownerUrl.replace(`/db${number}?`, `/twin${number}?`) }
  const outcomes = await Promise.all([options, twin, options, twin].map((each) => migrate(each)))
  expect(outcomes.flatMap(({ applied }) => applied)).toHaveLength(4)
})

test('files that were edited or removed after they were applied are named, and nothing is applied', async () => {
  await migrate(options)
  await appendFile(join(dir, '0001_first.sql'), '-- a thought\n')
  await rename(join(dir, '0002_second.sql'), join(dir, '0002_renamed.sql'))
  await writeMigration('0003_third.sql', 'create table third (id int)')
  await expect(migrate(options)).rejects.toThrow(/0001_first was edited, 0002_second is missing/)
  expect(await query(options.ownerUrl, `select to_regclass('third') as third`)).toEqual([{ third: null }])
})

test('line endings of Windows are no edit', async () => {
  await writeFile(join(dir, '0001_first.sql'), '-- Up Migration\ncreate table first (id int);\n')
  await migrate(options)
  await writeFile(join(dir, '0001_first.sql'), '-- Up Migration\r\ncreate table first (id int);\r\n')
  expect(await migrate(options)).toEqual({ applied: [] })
})

test('an applied migration without a checksum gets one', async () => {
  await migrate(options)
  await query(options.ownerUrl, `delete from migration_checksums where name = '0001_first'`)
  expect(await migrate(options)).toEqual({ applied: [] })
  await appendFile(join(dir, '0001_first.sql'), '-- a thought\n')
  await expect(migrate(options)).rejects.toThrow('0001_first was edited')
})

test('a migration that fails leaves nothing behind and is named', async () => {
  await writeMigration('0003_third.sql', 'create table third (id int); select 1 / 0')
  await expect(migrate(options)).rejects.toThrow('Migration 0003_third failed: division by zero')
  expect(await query(options.ownerUrl, `select to_regclass('third') as third`)).toEqual([{ third: null }])
  expect((await migrationStatus(options)).map(({ state }) => state)).toEqual(['applied', 'applied', 'pending'])
})

test('a late file with a lower number is refused', async () => {
  await migrate(options)
  await writeMigration('0001_early.sql', 'select 1')
  await expect(migrate(options)).rejects.toThrow('0001_early')
})

test('down takes back the last ones and says when one cannot be taken back', async () => {
  await writeMigration('0003_third.sql', 'create table third (id int)', 'drop table third')
  await migrate(options)
  expect(await rollback(options)).toEqual({ reverted: ['0003_third'] })
  await expect(rollback(options)).rejects.toThrow('0002_second failed: it has no down part')
  expect(await migrate(options)).toEqual({ applied: ['0003_third'] })
})

test('the roles sign in, are held back, and cannot be mistaken for the owner', async () => {
  await migrate(options)
  const appUrl = roleUrl(options.ownerUrl, `t${number}_app`)
  expect(
    await query(
      appUrl,
      `select current_user as name, current_setting('statement_timeout') as limit from first
    right join (select) as one on true`,
    ),
  ).toEqual([{ name: `t${number}_app`, limit: '5s' }])
  await expect(asClient(appUrl, refuseUnsafeRole)).resolves.toBeUndefined()
  await expect(asClient(options.ownerUrl, refuseUnsafeRole)).rejects.toThrow('owns the table')
  await expect(asClient(server.url, refuseUnsafeRole)).rejects.toThrow('is a superuser')
  await expect(query(roleUrl(options.ownerUrl, `t${number}_search`), 'select 1')).rejects.toThrow()
  await query(server.url, `create role t${number}_bypass login bypassrls password 'x'`)
  const bypass = options.ownerUrl.replace(/\/\/[^@]*@/, `//t${number}_bypass:x@`)
  await expect(asClient(bypass, refuseUnsafeRole)).rejects.toThrow('bypasses row-level security')
})

test('passwords follow that of the owner, and an operator’s own limits stay', async () => {
  await migrate(options)
  await query(server.url, `alter role owner${number} password 'new'`)
  await query(server.url, `alter role t${number}_app set statement_timeout = '9s'`)
  const moved = { ...options, ownerUrl: ownerUrl('new') }
  await migrate(moved)
  expect(await query(roleUrl(moved.ownerUrl, `t${number}_app`), 'show statement_timeout')).toEqual([
    { statement_timeout: '9s' },
  ])
})

test('an operator’s own login for the application gets its rights', async () => {
  await query(server.url, `create role t${number}_own login password 'x'`)
  const appUrl = options.ownerUrl.replace(/\/\/[^@]*@/, `//t${number}_own:x@`)
  await migrate({ ...options, appUrl })
  expect(await query(appUrl, 'select * from first')).toEqual([])
})

test('a plain owner can hand a function to the search role', async () => {
  await writeMigration(
    '0003_search.sql',
    `
    create function found() returns int language sql security definer as 'select 1';
    do $$ declare search text := current_setting('clientforge.role_prefix') || 'search'; begin
      execute format('grant create on schema public to %I', search);
      execute format('alter function found() owner to %I', search);
      execute format('revoke create on schema public from %I', search);
    end $$`,
  )
  expect((await migrate(options)).applied).toContain('0003_search')
})

test('an owner that may not make roles is told so', async () => {
  await query(server.url, `alter role owner${number} nocreaterole`)
  await expect(migrate(options)).rejects.toThrow('give the owner CREATEROLE')
})

test('the product’s own migrations run for a plain owner', async () => {
  const { ownerUrl, rolePrefix } = options
  expect((await migrate({ ownerUrl, rolePrefix, log })).applied.length).toBeGreaterThan(0)
})

test.each([
  ['postgres://u:p@/db?host=/sock', /^postgres:\/\/app:[0-9a-f]{64}@\/db\?host=\/sock$/],
  [
    'postgresql://u:a%40b@[::1]:5433/db?sslmode=require',
    /^postgresql:\/\/app:[0-9a-f]{64}@\[::1\]:5433\/db\?sslmode=require$/,
  ],
  ['postgres://h/db?user=u&password=p&sslmode=require', /^postgres:\/\/app:[0-9a-f]{64}@h\/db\?sslmode=require$/],
  // Without a password anybody could derive the one of the role, so it has none.
  ['postgres://u@/db?host=/sock', /^postgres:\/\/app@\/db\?host=\/sock$/],
])('the role’s connection string of %s', (owner, expected) => {
  expect(roleUrl(owner, 'app')).toMatch(expected)
})

test('a derived password depends on the owner’s and on the role', () => {
  const urls = ['a', 'b'].flatMap((secret) =>
    ['app', 'worker'].map((role) => roleUrl(`postgres://u:${secret}@h/d`, role)),
  )
  expect(new Set(urls.map((url) => url.split(':')[2])).size).toBe(4)
  expect(roleUrl('postgres://u:a%41@h/d', 'app')).toBe(roleUrl('postgres://v:aA@h/d', 'app'))
})

function ownerUrl(password: string): string {
  return server.url
    .replace(/\/\/[^@]*@/, `//owner${number}:${encodeURIComponent(password)}@`)
    .replace('/clientforge?', `/db${number}?`)
}

async function writeMigration(file: string, up: string, down?: string): Promise<void> {
  const taken = down === undefined ? '' : `-- Down Migration\n${down};\n`
  await writeFile(join(dir, file), `-- Up Migration\n${up};\n${taken}`)
}

async function query(url: string, text: string): Promise<unknown[]> {
  return asClient(url, async (client) => (await client.query(text)).rows)
}

async function asClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
