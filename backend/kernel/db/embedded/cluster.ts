import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Binaries } from './binaries.ts'
import type { Ids, Place } from './identity.ts'

/** Makes the cluster when there is none and returns the owner's password; `onWaiting` is called when initdb has begun, or need not. */
export async function ensureCluster(
  place: Place,
  binaries: Binaries,
  durable: boolean,
  onWaiting: () => void,
): Promise<string> {
  await removeUnfinished(place.home)
  const passwordFile = join(place.home, 'postgres.password')
  const version = await readFile(join(place.dataDir, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version === undefined) return createCluster(place, binaries, durable, passwordFile, onWaiting)
  onWaiting()
  if (version.trim() !== binaries.major) {
    throw new Error(
      `The database in ${place.dataDir} was made by PostgreSQL ${version.trim()} and this is ` +
        `${binaries.major}: dump it with the old release and restore it into the new one`,
    )
  }
  const password = await readFile(passwordFile, 'utf8').catch(() => undefined)
  if (password !== undefined) return password.trim()
  throw new Error(`${passwordFile} is missing: without it nobody can sign in to the database in ${place.dataDir}`)
}

/** What the server and initdb see of the environment: nothing that differs between machines. */
export const SERVER_ENV = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

const UNFINISHED = 'postgres.new-'

/** A start that died while initdb ran leaves a folder; each attempt has its own, as that initdb may still be writing. */
async function removeUnfinished(home: string): Promise<void> {
  const names = (await readdir(home)).filter((name) => name.startsWith(UNFINISHED))
  await Promise.all(
    names.map((name) => rm(join(home, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })),
  )
}

async function createCluster(
  place: Place,
  binaries: Binaries,
  durable: boolean,
  passwordFile: string,
  onWaiting: () => void,
) {
  // Only an empty folder, such as an operator may have prepared, can be replaced.
  await rmdir(place.dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return
    throw new Error(`${place.dataDir} exists and is not a PostgreSQL data folder: move it away`, { cause: error })
  })
  const password = randomBytes(24).toString('base64url')
  await writeFile(passwordFile, password, { mode: 0o600 })
  await chmod(passwordFile, 0o600)
  const unfinished = await mkdtemp(join(place.home, UNFINISHED))
  if (place.ids !== undefined) {
    await chown(passwordFile, place.ids.uid, place.ids.gid)
    await chown(unfinished, place.ids.uid, place.ids.gid)
  }
  // The locale is given in full: left out, it would be the host's and text would sort differently on each machine.
  const locale = ['-E', 'UTF8', '--locale-provider=icu', '--icu-locale=und', '--locale=C']
  const access = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  const sync = durable ? [] : ['--no-sync']
  const finished = run(
    binaries.initdb,
    ['-D', unfinished, ...access, ...locale, '--data-checksums', ...sync],
    place.ids,
  )
  onWaiting()
  await finished
  await rename(unfinished, place.dataDir)
  return password
}

async function run(program: string, args: string[], ids: Ids | undefined): Promise<void> {
  const env = process.platform === 'win32' ? {} : { env: SERVER_ENV }
  const child = spawn(program, args, { ...ids, ...env, cwd: process.platform === 'win32' ? undefined : '/' })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.on('error', reject).on('close', resolve)
  const code = await promise
  if (code !== 0) throw new Error(`initdb failed with status ${code}:\n${output.slice(-2_000)}`)
}
