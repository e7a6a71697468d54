import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, realpath, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'

/** The OS user the server runs as. */
export type Ids = { uid: number; gid: number }

/** Where the embedded database lives and as whom it runs; without ids it runs as we do. */
export type Place = { home: string; dataDir: string; ids: Ids | undefined }

/** Decides where the data of a storage folder is kept and which OS user the server runs as. */
export async function findPlace(storageDir: string, log: Logger): Promise<Place> {
  await mkdir(storageDir, { recursive: true })
  const storage = await realpath(storageDir)
  const home = (await notedHome(storage)) ?? storage
  const owner = await ownerOf(join(home, 'postgres'))
  if (process.getuid?.() !== 0) return ordinaryPlace(home, owner)

  // PostgreSQL refuses to run as root. Data that exists already says whose it is.
  const ids = owner !== undefined && owner.uid !== 0 ? owner : await serviceUser()
  if (canEnter(home, ids)) return { home, dataDir: join(home, 'postgres'), ids }
  if (owner !== undefined) {
    throw new Error(
      `The database in ${home} belongs to user ${ids.uid}, who may not enter that folder: ` +
        'allow it with chmod a+x on each folder of that path',
    )
  }
  const moved = await homeElsewhere(storage, log)
  await writeFile(join(storage, NOTE), `${moved}\n`)
  return { home: moved, dataDir: join(moved, 'postgres'), ids }
}

/** Whether that user can go through this folder. */
export function canEnter(folder: string, ids: Ids | undefined): boolean {
  if (process.platform === 'win32') return true
  // Asked of the system and not worked out from mode bits: ACLs and mount options have a say too.
  const { status, error } = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...ids, cwd: '/', stdio: 'ignore' })
  if (error !== undefined) {
    throw new Error(`Cannot run a program as user ${ids?.uid} (${error.message}): run ClientForge as an ordinary user`)
  }
  return status === 0
}

const NOTE = 'postgres.location'

async function notedHome(storage: string): Promise<string | undefined> {
  const note = await readFile(join(storage, NOTE), 'utf8').catch(() => undefined)
  if (note === undefined) return undefined
  const home = note.trim()
  // Starting with an empty database here would look like lost data, and new records would make it so.
  if (await exists(home)) return home
  throw new Error(
    `${join(storage, NOTE)} says that the database is kept in ${home}, which does not exist: ` +
      'bring that folder back, or delete the file to begin with an empty database',
  )
}

function ordinaryPlace(home: string, owner: Ids | undefined): Place {
  const self = process.getuid?.()
  if (owner !== undefined && self !== undefined && owner.uid !== self) {
    throw new Error(
      `The database in ${home} belongs to user ${owner.uid} and this process runs as ${self}: ` +
        'start it as that user or as root, or give the folder to this user with chown -R',
    )
  }
  return { home, dataDir: join(home, 'postgres'), ids: undefined }
}

/** A user without an entry in /etc/passwd would not do: initdb looks its name up. */
async function serviceUser(): Promise<Ids> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'))
  const user = lines.find(([name]) => name === 'postgres') ?? lines.find(([name]) => name === 'nobody')
  if (user === undefined) {
    throw new Error(
      'PostgreSQL does not run as root and there is no user postgres or nobody: ' +
        'run ClientForge as an ordinary user, or set DATABASE_URL',
    )
  }
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

async function homeElsewhere(storage: string, log: Logger): Promise<string> {
  const name = createHash('sha256').update(storage).digest('hex').slice(0, 16)
  const home = join('/var/lib/clientforge', name)
  try {
    await mkdir(home, { recursive: true })
    // Whatever the umask was, the server's user has to get in.
    await chmod('/var/lib/clientforge', 0o755)
    await chmod(home, 0o755)
    log.info({ storage, home }, 'the storage folder is closed to the database user: the database is kept elsewhere')
    return home
  } catch (error) {
    const fallback = await mkdtemp(join(tmpdir(), 'clientforge-'))
    await chmod(fallback, 0o755)
    log.warn({ err: error, storage, home: fallback }, 'the database is kept in a temporary folder: set STORAGE_DIR')
    return fallback
  }
}

async function ownerOf(dataDir: string): Promise<Ids | undefined> {
  const found = await stat(dataDir).catch(() => undefined)
  return found === undefined ? undefined : { uid: found.uid, gid: found.gid }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
