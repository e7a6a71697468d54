import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startEmbedded } from '../backend/kernel/db/embedded/server.ts'
import { type MigrateOptions, migrate, migrationStatus, rollback } from '../backend/kernel/db/migrate.ts'
import { createLogger } from '../backend/kernel/log.ts'

const log = createLogger('warn')
const folder = join(import.meta.dirname, '../database/migrations')
if (existsSync('.env')) process.loadEnvFile('.env')

const template = `-- Up Migration


-- Down Migration

`

const commands: Record<string, (argument: string | undefined) => Promise<void>> = { up, down, status, new: create }

const [name = 'up', argument] = process.argv.slice(2)
const command = Object.hasOwn(commands, name) ? commands[name] : undefined
if (command === undefined) {
  console.error('npm run migrate -- up | down [number] | status, or npm run migrate:new -- name')
  process.exitCode = 1
} else {
  await command(argument).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  })
}

async function up(): Promise<void> {
  const { applied } = await onDatabase(migrate)
  console.log(applied.length === 0 ? 'Nothing is pending.' : `Applied ${applied.join(', ')}.`)
}

async function down(count: string | undefined): Promise<void> {
  if (count !== undefined && !/^[1-9]\d*$/.test(count))
    throw new Error(`How many to take back? "${count}" is no number.`)
  const { reverted } = await onDatabase((options) => rollback({ ...options, count: Number(count ?? 1) }))
  console.log(reverted.length === 0 ? 'Nothing is applied.' : `Took back ${reverted.join(', ')}.`)
}

async function status(): Promise<void> {
  for (const { name, state, appliedAt } of await onDatabase(migrationStatus)) {
    console.log(`${state.padEnd(8)} ${name} ${appliedAt?.toISOString() ?? ''}`.trimEnd())
  }
}

async function create(title: string | undefined): Promise<void> {
  if (title === undefined || !/^[\w-]+$/.test(title)) throw new Error('Name it: npm run migrate:new -- add_priority')
  const numbers = (await readdir(folder)).map((file) => Number.parseInt(file, 10)).filter((number) => number > 0)
  const number = String(Math.max(0, ...numbers) + 1).padStart(4, '0')
  const file = join(folder, `${number}_${title.toLowerCase()}.sql`)
  await writeFile(file, template, { flag: 'wx' })
  console.log(`Made database/migrations/${number}_${title.toLowerCase()}.sql`)
}

/** The database of DATABASE_URL, else the embedded one, started for as long as this takes. */
async function onDatabase<T>(work: (options: MigrateOptions) => Promise<T>): Promise<T> {
  const { env } = process
  const url = env.DATABASE_DIRECT_URL || env.DATABASE_URL
  const embedded = url ? undefined : await startEmbedded({ storageDir: env.STORAGE_DIR || 'storage', log })
  try {
    return await work({
      ownerUrl: url || (embedded?.url ?? ''),
      appUrl: env.DATABASE_APP_URL || undefined,
      workerUrl: env.DATABASE_WORKER_URL || undefined,
      rolePrefix: env.DATABASE_ROLE_PREFIX || 'clientforge_',
      log,
    })
  } finally {
    await embedded?.stop()
  }
}
