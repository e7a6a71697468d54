import { LRUCache } from 'lru-cache'
import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'

/** Notes when and from where sessions are used, at most once a minute each, and keeps nobody waiting. */
export interface SessionUse {
  note(tx: Tx, session: { readonly id: string; readonly lastUsedAt: number }, ip: string | null): void
}

const minute = 60_000

/** Makes the notes of this process; in all processes together a session is written once a minute. */
export function createSessionUse(): SessionUse {
  const noted = new LRUCache<string, number>({ max: 20_000 })
  return {
    note: (tx, { id, lastUsedAt }, ip) => {
      const now = Date.now()
      if (now - Math.max(lastUsedAt, noted.get(id) ?? 0) < minute) return
      noted.set(id, now)
      // What is lost here the next minute makes good; the request does not hang on it.
      touch(tx, id, ip).catch(() => noted.delete(id))
    },
  }
}

const touch = (tx: Tx, id: string, ip: string | null): Promise<unknown> =>
  tx.query(sql`
    update sessions set last_used_at = now(), ip = coalesce(${ip}, ip)
    where tenant_id = ${tx.ctx.tenantId} and id = ${id} and ended_at is null and last_used_at < now() - interval '1 minute'`)
