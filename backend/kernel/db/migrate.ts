import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from 'pino'
import { MIGRATION_FILE, type MigrationFile, migrationUnit, readMigrations } from './migration.ts'
import { ensureRoles, type RoleOptions } from './roles.ts'

/** What the migrations run on; without `dir` they are those of this product. */
export type MigrateOptions = Omit<RoleOptions, 'rolePrefix'> & { rolePrefix?: string; log: Logger; dir?: string }

/** Where one migration stands. */
export type MigrationStatus = {
  name: string
  state: 'applied' | 'pending' | 'edited' | 'missing'
  appliedAt: Date | undefined
}

/** Makes the roles and applies what is pending; several at once wait for each other and apply it once. */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const { rolePrefix, log, dir } = withDefaults(options)
  return locked(options, async (client) => {
    const files = await readMigrations(dir)
    await refuseChanged(client, files, log)
    await ensureRoles(client, { ...options, rolePrefix })
    const pending = (await standing(client, files)).some(({ state }) => state === 'pending')
    const applied = pending ? await run(client, files, dir, log, { direction: 'up' }) : []
    if (applied.length > 0) log.info({ applied }, 'applied migrations')
    return { applied }
  })
}

/** Takes back the last migrations, newest first. */
export async function rollback(options: MigrateOptions & { count?: number }): Promise<{ reverted: string[] }> {
  const { log, dir } = withDefaults(options)
  return locked(options, async (client) => {
    const files = await readMigrations(dir)
    await refuseChanged(client, files, log)
    const reverted = await run(client, files, dir, log, { direction: 'down', count: options.count ?? 1 })
    log.info({ reverted }, 'took back migrations')
    return { reverted }
  })
}

/** Says of each migration where it stands, and changes nothing. */
export async function migrationStatus(options: Pick<MigrateOptions, 'ownerUrl' | 'dir'>): Promise<MigrationStatus[]> {
  const files = await readMigrations(options.dir ?? MIGRATIONS)
  const client = await connect(options.ownerUrl)
  try {
    return await standing(client, files)
  } finally {
    await client.end()
  }
}

/** The advisory lock of node-pg-migrate itself, so that its own command line waits for us too. */
const PG_MIGRATE_LOCK_ID = 7241865325823964

const MIGRATIONS = join(import.meta.dirname, '../../../database/migrations')

function withDefaults(options: MigrateOptions) {
  return { rolePrefix: options.rolePrefix ?? 'clientforge_', log: options.log, dir: options.dir ?? MIGRATIONS }
}

async function locked<T>(options: MigrateOptions, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { rolePrefix, log } = withDefaults(options)
  const client = await connect(options.ownerUrl)
  try {
    await client.query(
      `select set_config('clientforge.role_prefix', $1, false), set_config('search_path', 'public', false),
         set_config('timezone', 'UTC', false), set_config('statement_timeout', '0', false),
         set_config('lock_timeout', '0', false), set_config('idle_in_transaction_session_timeout', '0', false)`,
      [rolePrefix],
    )
    await waitForLock(client, log)
    return await work(client)
  } finally {
    // Ends the session, and with it the lock and a transaction that failed half way.
    await client.end()
  }
}

async function connect(ownerUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'clientforge migrate' })
  // A broken connection fails the query under way; unheard, the same error would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * Asks again and again instead of waiting inside `pg_advisory_lock`: a session that waits there holds a snapshot, and
 * the migration it waits for, building an index concurrently, waits for all snapshots. That is a deadlock.
 */
async function waitForLock(client: pg.Client, log: Logger): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [
      PG_MIGRATE_LOCK_ID,
    ])
    if (rows[0]?.mine === true) return
    if (attempt % 100 === 1) log.info('another process is migrating: waiting for it')
    await sleep(100)
  }
}

async function refuseChanged(client: pg.Client, files: MigrationFile[], log: Logger): Promise<void> {
  await client.query(
    `create table if not exists migration_checksums (
       name text primary key, sha256 text not null, applied_at timestamptz(3) not null default now())`,
  )
  const statuses = await standing(client, files)
  const changed = statuses.filter(({ state }) => state === 'edited' || state === 'missing')
  if (changed.length > 0) {
    const list = changed.map(({ name, state }) => `${name} ${state === 'edited' ? 'was edited' : 'is missing'}`)
    throw new Error(
      `Migrations that are applied must stay as they were: ${list.join(', ')}. ` +
        'Restore them, and put what you want to change into a new one (npm run migrate:new -- name)',
    )
  }
  await recordForgotten(client, files, statuses, log)
}

async function standing(client: pg.Client, files: MigrationFile[]): Promise<MigrationStatus[]> {
  const applied = await appliedMigrations(client)
  const gone = applied.filter((row) => !files.some((file) => file.name === row.name))
  return [
    ...files.map((file): MigrationStatus => {
      const row = applied.find(({ name }) => name === file.name)
      if (row === undefined) return { name: file.name, state: 'pending', appliedAt: undefined }
      const edited = row.sha256 !== null && row.sha256 !== file.sha256
      return { name: file.name, state: edited ? 'edited' : 'applied', appliedAt: row.applied_at }
    }),
    ...gone.map((row): MigrationStatus => ({ name: row.name, state: 'missing', appliedAt: row.applied_at })),
  ]
}

type AppliedRow = { name: string; sha256: string | null; applied_at: Date }

async function appliedMigrations(client: pg.Client): Promise<AppliedRow[]> {
  const { rows } = await client.query<{ ours: boolean; sums: boolean }>(
    `select to_regclass('public.migrations') is not null as ours,
       to_regclass('public.migration_checksums') is not null as sums`,
  )
  if (rows[0]?.ours !== true) return []
  const sums = rows[0].sums ? 'public.migration_checksums' : '(select null::text, null::text where false)'
  const applied = await client.query<AppliedRow>(
    `select m.name, s.sha256, m.run_on at time zone 'UTC' as applied_at
     from public.migrations m left join ${sums} as s(name, sha256) on s.name = m.name order by m.id`,
  )
  return applied.rows
}

/** A migration that cannot run in a transaction may have been applied by a process that died before it noted the sum. */
async function recordForgotten(client: pg.Client, files: MigrationFile[], statuses: MigrationStatus[], log: Logger) {
  const applied = new Set(statuses.filter(({ state }) => state === 'applied').map(({ name }) => name))
  const { rows } = await client.query<{ name: string }>('select name from migration_checksums')
  for (const file of files) {
    if (!applied.has(file.name) || rows.some(({ name }) => name === file.name)) continue
    log.warn({ migration: file.name }, 'an applied migration had no checksum: recording that of its file')
    await client.query('insert into migration_checksums (name, sha256) values ($1, $2)', [file.name, file.sha256])
  }
}

type Course = { direction: 'up' } | { direction: 'down'; count: number }

async function run(client: pg.Client, files: MigrationFile[], dir: string, log: Logger, course: Course) {
  let current = ''
  const units = files.map((file) =>
    migrationUnit(file, (name) => {
      current = name
    }),
  )
  const quiet = (message: string) => log.debug(message)
  // 20 MB that a start with nothing to apply, and the process after it, does without.
  const { runner } = await import('node-pg-migrate')
  try {
    const ran = await runner({
      dbClient: client,
      dir,
      ignorePattern: `(?!${MIGRATION_FILE.source.slice(1)}).*`,
      migrationsTable: 'migrations',
      migrationsSchema: 'public',
      singleTransaction: false,
      checkOrder: true,
      // The lock around the roles and the checksums is the same one and is held already.
      noLock: true,
      migrationLoaderStrategies: ['.sql', '.ts'].map((extension) => ({
        extensions: [extension],
        loader: async (paths) => units.filter(({ id }) => paths.includes(id)),
      })),
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      ...course,
    })
    return ran.map(({ name }) => name)
  } catch (error) {
    if (current === '' || !(error instanceof Error)) throw error
    const place = error instanceof pg.DatabaseError && error.where !== undefined ? ` (${error.where})` : ''
    throw new Error(`Migration ${current} failed: ${error.message}${place}`, { cause: error })
  }
}
