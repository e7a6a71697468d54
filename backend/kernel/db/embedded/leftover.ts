import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Logger } from 'pino'
import { z } from 'zod'
import { findServers, isZombie, processMark, until } from './processes.ts'

/** How the folders of our sockets begin, so that nothing else is ever removed. */
export const SOCKET_PREFIX = 'clientforge-pg-'

/** Marks the data as this process's own; fails with a clear error while another living process owns it. */
export async function claimData(home: string, socketDir: string): Promise<{ release(): Promise<void> }> {
  const file = join(home, 'postgres.owner.json')
  const mark = (await processMark(process.pid)) ?? ''
  const own = JSON.stringify({ pid: process.pid, mark, socketDir })
  const prepared = `${file}.${randomUUID()}`
  await writeFile(prepared, own)
  try {
    // A hard link appears whole or not at all, so two starts at once cannot both believe to be first.
    while (!(await linked(prepared, file))) await removeDeadClaim(file)
  } finally {
    await rm(prepared, { force: true })
  }
  return { release: () => rm(file, { force: true }) }
}

/** Ends a server whose owner is dead and clears away what would keep the next one from starting. */
export async function endLeftover(dataDir: string, log: Logger): Promise<void> {
  const postmaster = await notedPostmaster(dataDir)
  const servers = await findServers(dataDir)
  if (servers.length > 0) {
    log.warn({ pids: servers }, 'a database server was left over by a process that died: stopping it')
    await endServers(dataDir, servers, postmaster)
  }
  const noted = await notedPostmaster(dataDir)
  if (noted === undefined) return
  // A dead server that nobody has reaped yet answers to signals, and PostgreSQL would refuse to start.
  await until(5_000, async () => !(await isZombie(noted)))
  // In a container the number often belongs to somebody else after a restart. Where there is no /proc, it is
  // PostgreSQL that decides, more carefully.
  if (process.platform === 'linux' && (await processMark(noted)) !== undefined) {
    log.warn({ pid: noted }, 'the lock file of the database names a process that is no database server: removing it')
    await rm(join(dataDir, 'postmaster.pid'), { force: true })
  }
}

async function linked(prepared: string, file: string): Promise<boolean> {
  try {
    await link(prepared, file)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

const claimShape = z.object({ pid: z.number(), mark: z.string(), socketDir: z.string() })

async function removeDeadClaim(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return
  await refuseLiving(file, text)
  // Renamed before it is removed: had another start replaced it meanwhile, that claim would be put back.
  const aside = `${file}.${randomUUID()}`
  const moved = await rename(file, aside).then(
    () => true,
    () => false,
  )
  if (!moved) return
  const found = await readFile(aside, 'utf8')
  if (found !== text) await linked(aside, file)
  else await removeSocket(text)
  await rm(aside, { force: true })
}

async function refuseLiving(file: string, text: string): Promise<void> {
  const claim = parseClaim(text)
  if (claim === undefined || (await processMark(claim.pid)) !== claim.mark) return
  throw new Error(
    `The embedded database of ${file.slice(0, -basename(file).length - 1)} is in use by process ` +
      `${claim.pid}: stop that process first, or give this one another STORAGE_DIR`,
  )
}

function parseClaim(text: string): z.infer<typeof claimShape> | undefined {
  try {
    return claimShape.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

async function removeSocket(text: string): Promise<void> {
  const socketDir = parseClaim(text)?.socketDir
  if (socketDir === undefined || !basename(socketDir).startsWith(SOCKET_PREFIX)) return
  await rm(socketDir, { recursive: true, force: true })
}

/** The first line of the lock file; it says nothing about whether that process lives or is ours. */
async function notedPostmaster(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isNaN(pid) ? undefined : Math.abs(pid)
}

async function endServers(dataDir: string, servers: number[], postmaster: number | undefined): Promise<void> {
  const gone = async () => (await findServers(dataDir)).length === 0
  // A postmaster ends its children itself. Without one, SIGINT would only cancel their queries.
  if (postmaster !== undefined && servers.includes(postmaster)) signal([postmaster], 'SIGINT')
  else signal(servers, 'SIGTERM')
  if (await until(10_000, gone)) return
  // Immediate shutdown: as safe as a power cut, the next start recovers.
  signal(await findServers(dataDir), 'SIGQUIT')
  if (await until(5_000, gone)) return
  throw new Error(`A left-over database server (process ${servers.join(', ')}) does not stop: end it by hand`)
}

function signal(pids: number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It ended by itself in the meantime.
    }
  }
}
