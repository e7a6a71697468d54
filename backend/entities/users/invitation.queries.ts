import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import type { Invitation } from './invitation.ts'

/** How an invitation stands. */
export type InvitationStatus = Invitation['status']

/** Invitations of the tenant behind a place, the latest first. */
export const listInvitations = (
  tx: Tx,
  status: InvitationStatus | undefined,
  after: { readonly createdAt: string; readonly id: string } | null,
  limit: number,
): Promise<Invitation[]> =>
  tx.query<Invitation>(sql`
    select ${printed} from invitations i
    where i.tenant_id = ${tx.ctx.tenantId}
      ${status === undefined ? empty : sql`and ${standing} = ${status}`}
      ${after === null ? empty : sql`and (i.created_at, i.id) < (${after.createdAt}::timestamptz, ${after.id}::uuid)`}
    order by i.created_at desc, i.id desc limit ${limit}`)

/** Invitations by their ids, in the order of the ids. */
export const readInvitations = (tx: Tx, ids: readonly string[]): Promise<Invitation[]> =>
  tx.query<Invitation>(sql`
    select ${printed} from invitations i
    where i.tenant_id = ${tx.ctx.tenantId} and i.id = any(${ids}::uuid[]) order by array_position(${ids}::uuid[], i.id)`)

/** How many are asked who would be further members. */
export async function countPending(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ pending: number }>(sql`
    select count(*)::integer as pending from invitations i
    where i.tenant_id = ${tx.ctx.tenantId} and i.accepted_at is null and i.revoked_at is null and i.user_id is null
      and i.expires_at > now()`)
  return row?.pending ?? 0
}

const standing: Sql = sql`
  case when i.accepted_at is not null then 'accepted' when i.revoked_at is not null then 'revoked'
       when i.expires_at <= now() then 'expired' else 'pending' end`

const printed: Sql = sql`
  i.id, i.email, i.name, i.role, i.role_id as "roleId", i.team_id as "teamId", coalesce(i.accepted_by_id, i.user_id) as "userId", ${standing} as status,
  i.created_by_id as "createdById", ${raw(timeSql('i.created_at'))} as "createdAt", ${raw(timeSql('i.sent_at'))} as "sentAt",
  ${raw(timeSql('i.expires_at'))} as "expiresAt", ${raw(timeSql('i.accepted_at'))} as "acceptedAt"`
