import pg from 'pg'
import { sleep } from '../clock.ts'
import type { Logger } from '../log.ts'

/** A connection of its own past any pooler: advisory locks and LISTEN live as long as their session. */
export interface Direct {
  /** Takes the lock if nobody holds it; it is ours until the connection is lost or `release`. */
  tryLock(name: string): Promise<boolean>
  release(name: string): Promise<void>
  /** Tells all processes that something was committed. */
  notify(): Promise<void>
  /** Called on a message of another process. */
  onNotify(listener: () => void): void
  /** Called when the session, and with it every lock, was lost. */
  onLost(listener: () => void): void
  readonly connected: boolean
  close(): Promise<void>
}

const channel = 'clientforge_events'

/** Opens the direct connection and keeps it open: after a loss it connects again, with pauses of up to 5 seconds. */
export async function openDirect(url: string, log: Logger): Promise<Direct> {
  const heard: (() => void)[] = []
  const lost: (() => void)[] = []
  let client: pg.Client | null = null
  let closed = false

  const connect = async (): Promise<void> => {
    const fresh = new pg.Client({ connectionString: url, application_name: 'clientforge direct', keepAlive: true })
    fresh.on('notification', () => {
      for (const listener of heard) listener()
    })
    fresh.on('error', (error) => log.warn({ err: error }, 'the direct database connection was lost'))
    fresh.once('end', () => {
      if (client !== fresh) return
      client = null
      for (const listener of lost) listener()
      if (!closed) void reconnect()
    })
    await fresh.connect()
    await fresh.query(`listen ${channel}`)
    if (closed) return fresh.end()
    client = fresh
  }

  const reconnect = async (): Promise<void> => {
    for (let pause = 100; ; pause = Math.min(pause * 2, 5_000)) {
      await sleep(pause)
      if (closed) return
      try {
        await connect()
        log.info('the direct database connection is back')
        return
      } catch (error) {
        log.warn({ err: error }, 'the direct database connection could not be opened')
      }
    }
  }

  await connect()
  // One after the other: a client of pg takes one query at a time.
  let last: Promise<unknown> = Promise.resolve()
  const query = (text: string, values: unknown[]): Promise<pg.QueryResult> => {
    const next = last.then(() => {
      if (!client) throw new Error('the direct database connection is closed')
      return client.query(text, values)
    })
    last = next.catch(() => {})
    return next
  }

  return {
    get connected() {
      return client !== null
    },
    tryLock: async (name) =>
      (await query('select pg_try_advisory_lock(hashtextextended($1, 0)) as ours', [name])).rows[0].ours,
    release: async (name) => void (await query('select pg_advisory_unlock(hashtextextended($1, 0))', [name])),
    notify: async () => void (await query(`select pg_notify('${channel}', '')`, [])),
    onNotify: (listener) => void heard.push(listener),
    onLost: (listener) => void lost.push(listener),
    close: async () => {
      closed = true
      await client?.end()
    },
  }
}
