import pg from 'pg'
import sql from 'sql-template-tag'
import type { Logger } from '../log.ts'
import type { Health } from '../module.ts'
import { type Direct, openDirect } from './direct.ts'
import { type Embedded, startEmbedded } from './embedded/server.ts'
import { migrate } from './migrate.ts'
import { createPostgres, type Postgres } from './postgres.ts'
import { refuseUnsafeRole, roleUrl } from './roles.ts'

export interface DatabaseOptions {
  /** The owner's; absent: the embedded server. */
  readonly url: string | undefined
  readonly directUrl: string | undefined
  readonly appUrl: string | undefined
  readonly workerUrl: string | undefined
  readonly rolePrefix: string
  readonly pool: number
  readonly durable: boolean
  readonly storageDir: string
  readonly log: Logger
  /** Called once, as soon as what remains is to wait for the server. */
  readonly onWaiting?: () => void
}

/** The database as the rest of the house uses it, migrated and safe. */
export interface ConnectedDatabase {
  readonly db: Postgres
  readonly direct: Direct
  /** Which adapter was chosen: `embedded` or `postgres`. */
  readonly adapter: string
  readonly ownerUrl: string
  /** The worker role's connection string past a pooler: for what listens. */
  readonly listenUrl: string
  answers(): Promise<boolean>
  health(): Promise<Health>
  /**
   * The session whose open transaction keeps new events back, of whatever database of the cluster. When it began is only
   * shown to its own role, so that an event which has been kept back for a second counts too.
   */
  horizonHolder(): Promise<string | null>
  close(): Promise<void>
}

/** Brings the database up: starts the embedded one if none is given, migrates, and refuses roles that bypass security. */
export async function connectDatabase(options: DatabaseOptions): Promise<ConnectedDatabase> {
  const { log, rolePrefix } = options
  if (options.url !== undefined) options.onWaiting?.()
  const embedded = options.url === undefined ? await startEmbedded(options) : undefined
  const ownerUrl = options.directUrl ?? embedded?.url
  const baseUrl = options.url ?? embedded?.url
  if (ownerUrl === undefined || baseUrl === undefined) throw new Error('there is no database')
  let db: Postgres | undefined
  try {
    const given = {
      ...(options.appUrl ? { appUrl: options.appUrl } : {}),
      ...(options.workerUrl ? { workerUrl: options.workerUrl } : {}),
    }
    await migrate({ ownerUrl, rolePrefix, log, ...given })
    await renumberLog(ownerUrl, log)
    const appUrl = options.appUrl ?? roleUrl(baseUrl, `${rolePrefix}app`)
    const workerUrl = options.workerUrl ?? roleUrl(baseUrl, `${rolePrefix}worker`)
    db = createPostgres({ appUrl, workerUrl, log, appConnections: options.pool })
    for (const pool of [db.app, db.workers]) await refuse(pool)
    const listenUrl = options.workerUrl ?? roleUrl(ownerUrl, `${rolePrefix}worker`)
    const direct = await openDirect(listenUrl, log)
    return connected({ db, direct, embedded, ownerUrl, listenUrl })
  } catch (error) {
    await db?.close()
    await embedded?.stop()
    throw error
  }
}

interface Connections {
  readonly db: Postgres
  readonly direct: Direct
  readonly embedded: Embedded | undefined
  readonly ownerUrl: string
  readonly listenUrl: string
}

function connected({ db, direct, embedded, ownerUrl, listenUrl }: Connections): ConnectedDatabase {
  const answers = async (): Promise<boolean> => {
    try {
      await db.anonymous(sql`select 1`)
      return true
    } catch {
      // The pool says why in its own log line; here it only counts that it does not answer.
      return false
    }
  }
  return {
    db,
    direct,
    ownerUrl,
    listenUrl,
    adapter: embedded ? 'embedded' : 'postgres',
    answers,
    health: async () => ({
      status: (await answers()) ? (direct.connected ? 'up' : 'degraded') : 'down',
      detail: { adapter: embedded ? 'embedded' : 'postgres' },
    }),
    horizonHolder: async () => {
      const [oldest] = await db.worker.query(sql`
        select h.holder from (
          select age(backend_xid) as age, xact_start as since,
                 case when datname = current_database() then coalesce(nullif(application_name, ''), 'a session')
                   else 'a session of another database' end || ' (pid ' || pid || ')' as holder
          from pg_stat_activity where backend_xid is not null
          union all
          select age(transaction), prepared, 'a prepared transaction (' || gid || ')' from pg_prepared_xacts) h
        where h.since < now() - interval '1 second' or exists (
          select 1 from events e where e.lane in (0, 1) and e.tx >= pg_snapshot_xmin(pg_current_snapshot())
            and e.occurred_at < now() - interval '1 second')
        order by h.age desc limit 1`)
      return oldest?.holder ?? null
    },
    close: async () => {
      await direct.close()
      await db.close()
      await embedded?.stop()
    },
  }
}

/** After a restore into another cluster, before the first write: the log's positions must be below what this one gives. */
async function renumberLog(ownerUrl: string, log: Logger): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    await client.query('begin')
    await client.query("select pg_advisory_xact_lock(hashtext('clientforge.renumber'))")
    const { rows } = await client.query('select renumber_event_log() as renumbered')
    await client.query('commit')
    if (rows[0].renumbered) log.warn('the database was restored into another cluster: the event log was renumbered')
  } finally {
    await client.end()
  }
}

async function refuse(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  try {
    await refuseUnsafeRole(client)
  } finally {
    client.release()
  }
}
