import { createPostgresBackend, isPgPool, runMigrations } from 'bullmq'
import pg from 'pg'
import { openPool } from '../../kernel/db/pool.ts'
import type { Logger } from '../../kernel/log.ts'
import { createBullEngine } from './bullmq.ts'
import type { JobEngine } from './jobs.port.ts'

const schema = 'bullmq'

/** Connections beside those on which workers listen. */
const connections = 8
const listeners = 10

/** The queue in a schema of our own PostgreSQL. The URL is the worker role's, past a pooler: it listens. */
export function openPostgresJobs(workerUrl: string, log: Logger): JobEngine {
  const { pool, close } = openPool(
    {
      connectionString: workerUrl,
      max: connections + listeners,
      options: `-c search_path=${schema}`,
      application_name: 'clientforge jobs',
      keepAlive: true,
    },
    log,
  )
  // Every queue and worker adds listeners of its own.
  pool.setMaxListeners(0)
  if (!isPgPool(pool)) throw new Error('BullMQ does not take this pool')
  return createBullEngine(
    {
      name: 'postgres',
      connection: pool,
      workerConnection: pool,
      backend: createPostgresBackend,
      answers: async () => {
        try {
          await pool.query('select 1')
          return true
        } catch (error) {
          log.warn({ err: error }, 'the queue of jobs does not answer')
          return false
        }
      },
      close,
    },
    log,
  )
}

/**
 * Makes or brings up to date the tables of the queue, as the owner, and gives them to the worker role. BullMQ makes a
 * sequence for each queue when it first meets it, hence `create`.
 */
export async function preparePostgresJobs(ownerUrl: string, workerRole: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'clientforge migrate' })
  // A broken connection fails the query under way; unheard, the same error would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    // Several processes start at once, and two that grant the same thing at once fail.
    await client.query("select pg_advisory_lock(hashtext('clientforge.jobs'))")
    await runMigrations(client, schema)
    const role = pg.escapeIdentifier(workerRole)
    const { rows } = await client.query<{ granted: boolean }>(
      `select has_schema_privilege($1, $2, 'create')
         and not exists (select 1 from pg_class where relnamespace = $2::regnamespace and relkind = 'r'
           and not has_table_privilege($1, oid, 'delete')) as granted`,
      [workerRole, schema],
    )
    if (rows[0]?.granted) return
    await client.query(`
      grant usage, create on schema ${schema} to ${role};
      grant select, insert, update, delete on all tables in schema ${schema} to ${role};
      grant usage on all sequences in schema ${schema} to ${role}`)
  } finally {
    // Ends the session, and with it the lock.
    await client.end()
  }
}
