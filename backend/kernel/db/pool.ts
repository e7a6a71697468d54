import pg from 'pg'
import type { Logger } from '../log.ts'

/** A pool whose lost connections are logged by its application name, and whose `close` waits for all of them. */
export function openPool(
  config: pg.PoolConfig & { readonly application_name: string },
  log: Logger,
): { pool: pg.Pool; close(): Promise<void> } {
  const name = config.application_name
  const pool = new pg.Pool({ connectionTimeoutMillis: 5_000, ...config })
  const open = new Set<pg.PoolClient>()
  let gone: () => void = () => {}
  pool.on('error', (error) => log.warn({ err: error, pool: name }, 'an idle database connection was lost'))
  pool.on('connect', (client) => {
    open.add(client)
    // A client that is lent out tells of a lost connection by itself; unheard, that would end the process.
    client.on('error', (error) => log.warn({ err: error, pool: name }, 'a database connection was lost'))
  })
  pool.on('remove', (client) => {
    open.delete(client)
    if (open.size === 0) gone()
  })
  return {
    pool,
    // `end` alone does not wait for the goodbye of each connection, and the server may be stopped before it is said.
    close: async () => {
      const all = new Promise<void>((resolve) => {
        gone = resolve
      })
      await pool.end()
      if (open.size > 0) await all
    },
  }
}
