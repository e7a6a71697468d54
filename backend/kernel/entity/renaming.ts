import sql from 'sql-template-tag'
import type { Tx } from '../db/database.ts'

/**
 * Says until the end of the transaction that what records hold is only called otherwise: then also those take the new name
 * that else stay as they were (a lead that is converted).
 */
export async function onlyRenaming(tx: Tx): Promise<void> {
  await tx.query(sql`select set_config('app.renaming', 'on', true)`)
}
