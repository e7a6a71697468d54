import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { queryAsTenant } from '../../backend/kernel/db/tenant-query.ts'
import { type Recipe, scriptOf, valuesOf } from './peer.ts'

/** One operation as the peer does it: several scripts are taken in turn at random. */
export interface PeerWork {
  readonly name: string
  readonly scripts: readonly (readonly Recipe[])[]
  /** `\set` lines of pgbench, for what varies. */
  readonly sets: readonly string[]
}

/** Somebody who sends the application's own statements to the same database, without the application. */
export interface Peer {
  /** What it is, for the report. */
  readonly name: string
  run(work: PeerWork, seconds: number): Promise<{ perSecond: number }>
  close(): Promise<void>
}

/** How many connections a peer uses, as `-c` of pgbench. */
export const peerConnections = 8

/** pgbench where it is installed, else a loop of our own over `pg`, which shares its cost with Node. */
export async function openPeer(options: { appUrl: string; tenantId: string; folder: string }): Promise<Peer> {
  const program = findPgbench()
  return program === undefined ? ownLoop(options) : pgbench(program, options)
}

function findPgbench(): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').sort().reverse() : []
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map((version) => `/usr/lib/postgresql/${version}/bin`),
  ]
  const name = process.platform === 'win32' ? 'pgbench.exe' : 'pgbench'
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
}

function pgbench(program: string, options: { appUrl: string; tenantId: string; folder: string }): Peer {
  const { host, port, user, password, database } = new pg.Client({ connectionString: options.appUrl })
  const env = {
    PATH: process.env.PATH,
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: typeof password === 'string' ? password : '',
    PGDATABASE: database,
  }
  const flags = ['-n', '-c', String(peerConnections), '-j', '2', '-M', 'prepared']
  return {
    name: `pgbench ${flags.join(' ')}`,
    run: async ({ name, scripts, sets }, seconds) => {
      const files = await Promise.all(
        scripts.map(async (recipes, index) => {
          const file = join(options.folder, `${name}-${index}.sql`)
          await writeFile(file, scriptOf(recipes, options.tenantId, sets))
          return file
        }),
      )
      const args = [...flags, '-T', String(seconds), ...files.flatMap((file) => ['-f', file])]
      const { stdout, stderr } = await promisify(execFile)(program, args, { env, timeout: (seconds + 30) * 1_000 })
      const tps = /^tps = ([\d.]+)/m.exec(stdout)?.[1]
      if (tps === undefined || /number of failed transactions: [1-9]|aborted/.test(`${stdout}${stderr}`))
        throw new Error(`pgbench failed at ${name}: ${stdout}${stderr}`)
      return { perSecond: Number(tps) }
    },
    close: async () => {},
  }
}

async function ownLoop({ appUrl, tenantId }: { appUrl: string; tenantId: string }): Promise<Peer> {
  const clients = Array.from({ length: peerConnections }, () => new pg.Client({ connectionString: appUrl }))
  await Promise.all(clients.map((client) => client.connect()))
  return {
    name: `a loop over ${peerConnections} connections of node-postgres, because pgbench is not installed`,
    run: async ({ scripts }, seconds) => {
      const started = performance.now()
      let done = 0
      await Promise.all(
        clients.map(async (client) => {
          while (performance.now() - started < seconds * 1_000) {
            const recipes = scripts[Math.floor(Math.random() * scripts.length)] ?? []
            for (const recipe of recipes)
              await queryAsTenant(client, tenantId, { ...recipe.statement, values: valuesOf(recipe) })
            done++
          }
        }),
      )
      return { perSecond: done / ((performance.now() - started) / 1_000) }
    },
    close: async () => void (await Promise.all(clients.map((client) => client.end()))),
  }
}
