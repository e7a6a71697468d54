import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Binaries } from './binaries.ts'
import { SERVER_ENV } from './cluster.ts'
import type { Place } from './identity.ts'

/** How the server ended. */
export type Exit = { code: number | null; signal: NodeJS.Signals | null }

type Options = { place: Place; binaries: Binaries; settings: string[]; log: Logger }

/** Starts the server and returns when it takes connections. */
export async function launch({ place, binaries, settings, log }: Options) {
  const logFile = join(place.home, 'postgres.log')
  await rotate(logFile)
  const output = await open(logFile, 'a')
  const { size } = await output.stat()
  // A log that belongs to root would keep the owner of the data from starting it later.
  if (place.ids !== undefined) await output.chown(place.ids.uid, place.ids.gid)
  const child = spawnServer([binaries.postgres, '-D', place.dataDir, ...settings], place, output.fd)
  // Without a listener, the pipe breaking when the server dies first would take this process down with it.
  child.stdin?.on('error', () => {})
  const exited = exitOf(child)
  await output.close()
  const early = await Promise.race([exited, ready(child, place.dataDir, log)])
  if (early !== 'ready') {
    const said = (await readFile(logFile)).subarray(size).toString().slice(-2_000)
    throw new Error(`PostgreSQL did not start (status ${early.code ?? early.signal}):\n${said}`)
  }
  return { exited, stop: () => stop(child, exited, place, binaries, log) }
}

/**
 * The shell becomes the server, so that its number and its exit are the server's own. What stays of it is a watcher
 * that waits for the end of our pipe and then asks the server to stop, however this process died. A line in the pipe
 * sends the watcher away instead, or it would signal a number that may belong to somebody else by then.
 * It ignores signals, as a supervisor may send them to every process: PostgreSQL takes the violent end of an unknown
 * child for a crash and would drop all connections.
 */
const LAUNCHER =
  'exec 3<&0; { trap "" HUP INT TERM; read -r _ <&3 || kill -INT $$; } 2>/dev/null & exec "$@" 3<&- </dev/null'

function spawnServer(command: string[], place: Place, output: number): ChildProcess {
  const [program = '', ...args] = command
  // Not exercised on Windows: nothing watches there, and the next start ends the server that was left over.
  if (process.platform === 'win32') return spawn(program, args, { stdio: ['ignore', output, output] })
  return spawn('/bin/sh', ['-c', LAUNCHER, 'postgres', ...command], {
    ...place.ids,
    // A process group of its own: Ctrl-C must not reach the database before our requests are finished.
    detached: true,
    stdio: ['pipe', output, output],
    cwd: '/',
    env: SERVER_ENV,
  })
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  const { promise, resolve, reject } = Promise.withResolvers<Exit>()
  child.on('error', reject).on('exit', (code, signal) => resolve({ code, signal }))
  return promise
}

/** The file of a server that died still says "ready", so it is believed only when it names our child. */
async function ready(child: ChildProcess, dataDir: string, log: Logger): Promise<'ready' | Exit> {
  const file = join(dataDir, 'postmaster.pid')
  const began = Date.now()
  let reported = began
  while (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
    if (lines[7]?.trim() === 'ready' && (process.platform === 'win32' || Number(lines[0]) === child.pid)) return 'ready'
    if (Date.now() - reported > 10_000) {
      reported = Date.now()
      log.info({ seconds: Math.round((reported - began) / 1_000) }, 'the database is still recovering')
    }
    await sleep(5)
  }
  return { code: child.exitCode, signal: child.signalCode }
}

async function stop(child: ChildProcess, exited: Promise<Exit>, place: Place, binaries: Binaries, log: Logger) {
  if (child.exitCode !== null || child.signalCode !== null) return
  if (process.platform === 'win32') {
    spawnSync(binaries.pgCtl, ['stop', '-D', place.dataDir, '-m', 'fast'])
    await exited
    return
  }
  child.kill('SIGINT')
  child.stdin?.end('stop\n')
  const patience = new AbortController()
  const late = sleep(8_000, 'late', { signal: patience.signal }).catch(() => 'late')
  if ((await Promise.race([exited, late])) === 'late') {
    log.warn('the database did not stop in 8 seconds: stopping it at once, the next start will recover')
    child.kill('SIGQUIT')
  }
  patience.abort()
  await exited
}

/** Ten megabytes of messages and their predecessor are kept. */
async function rotate(logFile: string): Promise<void> {
  const found = await stat(logFile).catch(() => undefined)
  if (found !== undefined && found.size > 10_000_000) await rename(logFile, `${logFile}.1`)
}
