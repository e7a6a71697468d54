import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MigrationBuilder } from 'node-pg-migrate'
import pg from 'pg'
import { z } from 'zod'

/** One step of a migration; it fills the builder with statements and may take it out of its transaction. */
export type Step = (pgm: MigrationBuilder) => void | Promise<void>

/** A migration file with the checksum of its text. */
export type MigrationFile = { name: string; path: string; sha256: string; up: Step; down: Step | undefined }

/** The migrations of a folder, `NNNN_title.sql` or `.ts`; any other file there is left alone. */
export async function readMigrations(dir: string): Promise<MigrationFile[]> {
  const files = (await readdir(dir)).filter((file) => MIGRATION_FILE.test(file)).toSorted()
  return Promise.all(files.map((file) => readMigration(resolve(dir, file), file.slice(0, -extname(file).length))))
}

/** What the runner is given: the file's own steps, and its checksum kept or dropped in the same transaction. */
export function migrationUnit(file: MigrationFile, begins: (name: string) => void) {
  const key = pg.escapeLiteral(file.name)
  const wrapped = (step: Step, bookkeeping: string) => async (pgm: MigrationBuilder) => {
    begins(file.name)
    await step(pgm)
    pgm.sql(bookkeeping)
  }
  const irreversible = () => {
    throw new Error('it has no down part, so it cannot be taken back')
  }
  return {
    id: file.path,
    filePaths: [file.path],
    actions: {
      up: wrapped(
        file.up,
        `insert into public.migration_checksums (name, sha256) values (${key}, ${pg.escapeLiteral(file.sha256)})
         on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`,
      ),
      down: wrapped(file.down ?? irreversible, `delete from public.migration_checksums where name = ${key}`),
    },
  }
}

/** The names of migration files: a number of four digits, a title, `.sql` or `.ts`. */
export const MIGRATION_FILE = /^\d{4}_[\w-]+\.(sql|ts)$/

async function readMigration(path: string, name: string): Promise<MigrationFile> {
  const text = await readFile(path, 'utf8')
  // A checkout on Windows may end its lines otherwise; that is no edit.
  const sha256 = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex')
  const steps = path.endsWith('.ts') ? await readModule(path) : splitSql(text, path)
  return { name, path, sha256, ...steps }
}

type Steps = { up: Step; down: Step | undefined }

const isStep = (value: unknown) => typeof value === 'function'
const moduleShape = z.object({ up: z.custom<Step>(isStep), down: z.custom<Step>(isStep).optional() })

/** Imported by Node itself, not by the compiler that the runner brings along. */
async function readModule(path: string): Promise<Steps> {
  const { up, down } = moduleShape.parse({ ...(await import(pathToFileURL(path).href)) })
  return { up, down }
}

/** Only whole lines divide the file, so that a comment which mentions a migration does not. */
function splitSql(text: string, path: string): Steps {
  const [up = '', down, ...more] = text.split(/^-- Down Migration[ \t]*\r?$/m)
  if (!/^-- Up Migration[ \t]*\r?\n/.test(up) || more.length > 0) {
    throw new Error(`${path} must begin with "-- Up Migration" and may have one "-- Down Migration" part`)
  }
  return { up: (pgm) => pgm.sql(up), down: down === undefined ? undefined : (pgm) => pgm.sql(down) }
}
