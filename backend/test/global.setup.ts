import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { preparePostgresJobs } from '../adapters/jobs/postgres.ts'
import { startEmbedded } from '../kernel/db/embedded/server.ts'
import { migrate } from '../kernel/db/migrate.ts'
import { createLogger } from '../kernel/log.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The owner's connection string to a server on which databases can be made. */
    ownerUrl: string
    /** A migrated database without connections, to be cloned. */
    template: string
  }
}

/** One server and one migrated template for the whole run: the embedded server, or that of `TEST_DATABASE_URL`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = createLogger('error')
  const given = process.env.TEST_DATABASE_URL
  const storageDir = await mkdtemp(join(tmpdir(), 'clientforge-test-'))
  await chmod(storageDir, 0o755)
  const embedded = given === undefined ? await startEmbedded({ storageDir, log, durable: false }) : undefined
  const ownerUrl = given ?? embedded?.url ?? ''
  const template = `template_${process.pid}`
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  await client.query(`drop database if exists ${template}`)
  await client.query(`create database ${template}`)
  await migrate({ ownerUrl: withDatabase(ownerUrl, template), log })
  await preparePostgresJobs(withDatabase(ownerUrl, template), 'clientforge_worker')
  await client.end()
  project.provide('ownerUrl', ownerUrl)
  project.provide('template', template)
  return async () => {
    if (embedded) await embedded.stop()
    else await dropTemplate(ownerUrl, template)
    await rm(storageDir, { recursive: true, force: true })
  }
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*/, `$1${database}`)
}

async function dropTemplate(ownerUrl: string, template: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  await client.query(`drop database if exists ${template} with (force)`)
  await client.end()
}
