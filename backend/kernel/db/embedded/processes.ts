import { spawnSync } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tells a process from a later one with the same number; undefined when it is gone or only waits to be reaped. */
export async function processMark(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await linuxStat(pid)
    if (stat === undefined || stat.state === 'Z') return undefined
    return `${await bootId()}:${stat.startTicks}`
  }
  if (process.platform === 'win32') return canSignal(pid) ? 'running' : undefined
  // Not exercised: macOS and the BSDs have no /proc.
  const line = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '')
}

/** Whether the process has ended and only its parent has not noticed; `kill(pid, 0)` still calls that alive. */
export async function isZombie(pid: number): Promise<boolean> {
  return process.platform === 'linux' && (await linuxStat(pid))?.state === 'Z'
}

/** The numbers of all PostgreSQL processes that work in this data folder, whoever started them. */
export async function findServers(dataDir: string): Promise<number[]> {
  if (process.platform === 'win32') return []
  if (process.platform !== 'linux') return findServersByCommand(dataDir)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const checked = await Promise.all(pids.map(async (pid) => ({ pid, serves: await servesFrom(pid, dataDir) })))
  return checked.filter(({ serves }) => serves).map(({ pid }) => pid)
}

/** Waits until the question is answered with yes; false when that took too long. */
export async function until(milliseconds: number, question: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + milliseconds
  while (!(await question())) {
    if (Date.now() > deadline) return false
    await sleep(20)
  }
  return true
}

type Stat = { state: string; startTicks: string }

async function linuxStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  // The name in brackets may hold spaces and brackets itself, so fields are counted from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', startTicks: fields[19] ?? '' }
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()
}

function canSignal(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function servesFrom(pid: number, dataDir: string): Promise<boolean> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '')
  if (cwd !== dataDir) return false
  // An operator's shell may stand in the folder too; "(deleted)" follows when the packages were installed anew.
  const exe = await readlink(`/proc/${pid}/exe`).catch(() => '')
  return /\/postgres( \(deleted\))?$/.test(exe)
}

function findServersByCommand(dataDir: string): number[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,command='], { encoding: 'utf8' })
  const lines = stdout.split('\n').filter((line) => line.includes(`/postgres -D ${dataDir} `))
  return lines.map((line) => Number.parseInt(line, 10))
}
