import sql from 'sql-template-tag'
import type { Tx } from '../db/database.ts'

/** Waits for whoever changes with whom a record is shared, until the transaction ends; taken before the record itself is locked. */
export async function lockShares({ ctx, query }: Tx, id: string): Promise<void> {
  await query(sql`select pg_advisory_xact_lock(hashtextextended(${`share ${ctx.tenantId} ${id}`}, 0))`)
}
