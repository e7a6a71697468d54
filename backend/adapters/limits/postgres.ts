import sql from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { Counted, RateStore } from '../../kernel/http/rate-store.port.ts'

/** Counts in an unlogged table, one statement a second. In the order of keys: two processes at once would else lock each other out. */
export function openPostgresRates(worker: WorkerTx): RateStore {
  return {
    add: (minute, counts) =>
      worker.query<Counted>(sql`
        insert into rate_counts (minute, key, count)
        select ${minute}::bigint, c.key, c.count
        from jsonb_to_recordset(${JSON.stringify(counts)}::jsonb) as c(key text, count integer) order by c.key
        on conflict (minute, key) do update set count = rate_counts.count + excluded.count
        returning key, count`),
    close: async () => {},
  }
}
