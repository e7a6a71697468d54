import pg from 'pg'
import { eventually } from './client.ts'

/** Something in the database that others wait for until it is let go. */
export interface Hold {
  /** Until so many sessions of this database wait for locks, or something else has happened. */
  until(waiting: number, otherwise?: Promise<unknown>): Promise<void>
  release(): Promise<void>
}

/** Runs a statement as the owner and keeps its locks, so that a test says itself who comes first. */
export async function hold(url: string, statement: string, values: readonly unknown[] = []): Promise<Hold> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('begin')
  await client.query(statement, [...values])
  return {
    until: async (waiting, otherwise) => {
      let happened = false
      otherwise?.then(() => {
        happened = true
      })
      await eventually(async () => {
        const { rows } = await client.query(
          `select count(distinct l.pid)::integer as waiting from pg_locks l join pg_stat_activity a on a.pid = l.pid
           where not l.granted and a.datname = current_database()`,
        )
        return happened || rows[0].waiting >= waiting
      }, `${waiting} sessions that wait`)
    },
    release: async () => {
      await client.query('commit')
      await client.end()
    },
  }
}

/** Keeps a row of a table as nobody else can change it. */
export const holdRow = (url: string, table: string, id: string): Promise<Hold> =>
  hold(url, `select 1 from ${table} where id = $1 for update`, [id])
