import type pg from 'pg'
import type { Ctx } from '../context.ts'
import type { Logger } from '../log.ts'
import type { Committed, Database, Query, Row, Statement, Tx, WorkerTx } from './database.ts'
import { openPool } from './pool.ts'
import { isConnectionError, mayRepeat } from './problems.ts'
import { queryAsTenant } from './tenant-query.ts'

/** A context made by `transaction` leads back to it under this symbol, also when it is spread: whoever is handed it joins. */
const open = Symbol('open transaction')

/** The database with its pools. */
export interface Postgres extends Database {
  readonly app: pg.Pool
  readonly workers: pg.Pool
  /** Told after each commit, with the events that it brought. */
  onCommit(listener: (events: readonly Committed[]) => void): void
  close(): Promise<void>
}

/** Opens the pools of the application and worker roles. Nothing connects before the first query. */
export function createPostgres(options: {
  appUrl: string
  workerUrl: string
  log: Logger
  appConnections?: number
  workerConnections?: number
}): Postgres {
  const { log } = options
  const { pool: app, close: closeApp } = openPool(
    { connectionString: options.appUrl, max: options.appConnections ?? 10, application_name: 'clientforge app' },
    log,
  )
  const { pool: workers, close: closeWorkers } = openPool(
    {
      connectionString: options.workerUrl,
      max: options.workerConnections ?? 6,
      application_name: 'clientforge worker',
    },
    log,
  )
  const listeners: ((events: readonly Committed[]) => void)[] = []
  const committed = (events: readonly Committed[]) => {
    if (events.length > 0) for (const listener of listeners) listener(events)
  }
  const tenant = (ctx: Ctx): Tx => {
    const outer = openOf(ctx)
    return outer ? { ...outer, ctx } : { ctx, query: autocommit(app, ctx), appended: (event) => committed([event]) }
  }

  const transaction = async <T>(ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T> => {
    const outer = openOf(ctx)
    if (outer) return savepoint(outer, ctx, work)
    return withClient(app, async (client) => {
      const events: Committed[] = []
      const tx: OpenTransaction = {
        ctx: { ...ctx, [open]: () => (tx.done ? undefined : tx) },
        depth: 0,
        done: false,
        events,
        query: async <R extends Row>(query: Query) => (await client.query<R>(plain(query))).rows,
        appended: (event) => events.push(event),
      }
      try {
        await client.query('begin')
        await client.query({
          name: 'set_tenant',
          text: "select set_config('app.tenant_id', $1, true)",
          values: [ctx.tenantId],
        })
        const result = await work(tx)
        await client.query('commit')
        committed(events)
        return result
      } catch (error) {
        await rollback(client, log)
        throw error
      } finally {
        tx.done = true
      }
    })
  }

  return {
    app,
    workers,
    tenant,
    transaction,
    worker: { query: (query) => withClient(workers, async (client) => (await client.query(plain(query))).rows) },
    workerTransaction: (work) => withClient(workers, (client) => workerTransaction(client, work, log)),
    anonymous: (query) => withClient(app, async (client) => (await client.query(plain(query))).rows),
    onCommit: (listener) => void listeners.push(listener),
    close: async () => {
      await Promise.all([closeApp(), closeWorkers()])
    },
  }
}

interface OpenTransaction extends Tx {
  readonly ctx: Joined
  readonly events: Committed[]
  depth: number
  done: boolean
}

type Joined = Ctx & { readonly [open]?: () => OpenTransaction | undefined }

const openOf = (ctx: Joined): OpenTransaction | undefined => ctx[open]?.()

const plain = (query: Query): { name?: string; text: string; values: unknown[] } => ({
  ...('name' in query && query.name ? { name: query.name } : {}),
  text: query.text,
  values: [...query.values],
})

/** Each statement its own transaction, tenant included, in one round trip; repeated when it lost a deadlock. */
function autocommit(pool: pg.Pool, ctx: Ctx): Tx['query'] {
  return async <R extends Row>(query: Query) => {
    const statement: Statement = 'name' in query ? query : { text: query.text, values: query.values }
    for (let attempt = 1; ; attempt++) {
      try {
        return (await withClient(pool, (client) => queryAsTenant(client, ctx.tenantId, statement))) as R[]
      } catch (error) {
        if (attempt === 3 || !mayRepeat(error)) throw error
      }
    }
  }
}

async function savepoint<T>(tx: OpenTransaction, ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T> {
  const name = `nested_${++tx.depth}`
  const before = tx.events.length
  await tx.query({ text: `savepoint ${name}`, values: [] })
  try {
    const result = await work({ ...tx, ctx })
    await tx.query({ text: `release savepoint ${name}`, values: [] })
    return result
  } catch (error) {
    tx.events.length = before
    await tx.query({ text: `rollback to savepoint ${name}`, values: [] })
    throw error
  } finally {
    tx.depth--
  }
}

async function workerTransaction<T>(
  client: pg.PoolClient,
  work: (tx: WorkerTx) => Promise<T>,
  log: Logger,
): Promise<T> {
  try {
    await client.query('begin')
    const result = await work({
      query: async <R extends Row>(query: Query) => (await client.query<R>(plain(query))).rows,
    })
    await client.query('commit')
    return result
  } catch (error) {
    await rollback(client, log)
    throw error
  }
}

async function rollback(client: pg.PoolClient, log: Logger): Promise<void> {
  try {
    await client.query('rollback')
  } catch (error) {
    // The connection is gone and with it the transaction: nothing is left to undo.
    log.warn({ err: error }, 'a rollback found its connection closed')
  }
}

/** Lends a connection. SQL errors give it back; only a broken connection is thrown away (`pool.query` drops it on any). */
async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    const result = await work(client)
    client.release()
    return result
  } catch (error) {
    client.release(isConnectionError(error))
    throw error
  }
}
