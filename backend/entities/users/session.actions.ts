import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { appendEvents } from '../../kernel/events/append.ts'

/** Why a session ended, as the device is told. */
export type EndReason = 'signed_out' | 'token_reused' | 'deactivated' | 'removed'

/** Ends one session of a user; its sockets close within a second. True when it was alive. */
export async function endSession(tx: Tx, userId: string, sessionId: string, reason: EndReason): Promise<boolean> {
  const rows = await tx.query<{ id: string }>(sql`
    update sessions set ended_at = now(), end_reason = ${reason}
    where tenant_id = ${tx.ctx.tenantId} and user_id = ${userId} and id = ${sessionId} and ended_at is null
    returning id`)
  await tell(tx, userId, rows, reason)
  return rows.length > 0
}

/** Ends all sessions of a user. */
export async function endSessions(tx: Tx, userId: string, reason: EndReason): Promise<void> {
  const rows = await tx.query<{ id: string }>(sql`
    update sessions set ended_at = now(), end_reason = ${reason}
    where tenant_id = ${tx.ctx.tenantId} and user_id = ${userId} and ended_at is null
    returning id`)
  await tell(tx, userId, rows, reason)
}

const tell = (tx: Tx, userId: string, rows: readonly { id: string }[], reason: EndReason): Promise<void> =>
  appendEvents(
    tx,
    rows.map(({ id }) => ({ name: 'session.ended', type: 'session', recordId: id, data: { userId, reason } })),
  )
