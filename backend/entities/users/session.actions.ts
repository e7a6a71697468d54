import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { appendEvents } from '../../kernel/events/append.ts'

/** Why a session ended, as the device is told. */
export type EndReason =
  | 'signed_out'
  | 'token_reused'
  | 'deactivated'
  | 'removed'
  | 'password_changed'
  | 'passkey_removed'
  | 'role_lost'

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

/**
 * Ends the sessions of an account in all its tenants, with a passkey those in which it was shown, but the one in which this is
 * done. One statement, which appends the
 * events of each tenant to its log: no role of ours may write into two tenants at once.
 */
export async function endAccountSessions(
  tx: Tx,
  accountId: string,
  reason: EndReason,
  passkeyId: string | null = null,
): Promise<void> {
  const { sessionId, requestId, operationId, ip, userAgent } = tx.ctx
  const ended = await tx.query<{ tenantId: string; id: string }>(sql`
    select tenant_id as "tenantId", id
    from end_account_sessions(${accountId}, ${sessionId}, ${passkeyId}, ${reason}, ${requestId}, ${operationId}, ${ip}, ${userAgent})`)
  for (const { tenantId, id } of ended)
    tx.appended({ tenantId, name: 'session.ended', type: 'session', recordId: id, version: null })
}

/** Ends all sessions of a user but one. */
export async function endOtherSessions(tx: Tx, userId: string, kept: string | null): Promise<void> {
  const rows = await tx.query<{ id: string }>(sql`
    update sessions set ended_at = now(), end_reason = 'signed_out'
    where tenant_id = ${tx.ctx.tenantId} and user_id = ${userId} and id is distinct from ${kept}::uuid and ended_at is null
    returning id`)
  await tell(tx, userId, rows, 'signed_out')
}

const tell = (tx: Tx, userId: string, rows: readonly { id: string }[], reason: EndReason): Promise<void> =>
  appendEvents(
    tx,
    rows.map(({ id }) => ({ name: 'session.ended', type: 'session', recordId: id, data: { userId, reason } })),
  )
