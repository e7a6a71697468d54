import sql from 'sql-template-tag'
import type { SealedPlace } from '../../kernel/reseal.ts'
import { seedPurpose } from './codes.ts'

/** The seeds of one-time codes. */
const seeds: SealedPlace = {
  name: 'account_totp',
  next: async (tx, prefix, after, limit) => {
    const rows = await tx.query<{ key: string; sealed: string }>(sql`
      select account_id as key, seed as sealed from account_totp
      where account_id > ${after} and not starts_with(seed, ${prefix})
      order by account_id limit ${limit} for update`)
    return rows.map(({ key, sealed }) => ({ key, sealed, purpose: seedPurpose(key) }))
  },
  put: async (tx, key, sealed) =>
    void (await tx.query(sql`update account_totp set seed = ${sealed} where account_id = ${key}`)),
}

/** Where sealed secrets of accounts stand: what `npm run rotate-key` goes through. */
export const sealedPlaces: readonly SealedPlace[] = [seeds]
