import sql, { empty, type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Notification, printed } from './notification.ts'

/** What a list of the inbox is narrowed to. */
export interface InboxFilters {
  readonly unreadOnly?: boolean | undefined
  readonly type?: string | undefined
  readonly priority?: string | undefined
}

/** Where a page of the inbox ended. */
export interface Place {
  readonly createdAt: string
  readonly id: string
}

/** The caller's entries, newest first, after a place; without those that sleep or have expired. */
export async function listEntries(
  tx: Tx,
  { unreadOnly, type, priority }: InboxFilters,
  after: Place | null,
  limit: number,
): Promise<Notification[]> {
  const rows = await tx.query<{ entry: Notification }>(sql`
    select ${printed} as entry from notifications n
    where ${own(tx)} and ${shown} ${unreadOnly ? sql`and n.read_at is null` : empty}
      ${type === undefined ? empty : sql`and n.type = ${type}`}
      ${priority === undefined ? empty : sql`and n.priority = ${priority}`}
      ${after === null ? empty : sql`and (n.created_at, n.id) < (${after.createdAt}::timestamptz, ${after.id}::uuid)`}
    order by n.created_at desc, n.id desc limit ${limit}`)
  return rows.map(({ entry }) => entry)
}

/** How many of the caller's entries are unread: counted in an index that holds nothing else. */
export async function countUnread(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ count: number }>(sql`
    select count(*)::integer as count from notifications n where ${own(tx)} and n.read_at is null and ${shown}`)
  return row?.count ?? 0
}

/** One of the caller's entries, also one that sleeps or has expired. */
export async function findEntry(tx: Tx, id: string): Promise<Notification | undefined> {
  const [row] = await tx.query<{ entry: Notification }>(sql`
    select ${printed} as entry from notifications n where ${own(tx)} and n.id = ${id}`)
  return row?.entry
}

/** The name of the advisory lock under which an inbox is changed. */
export const inboxLock = ({ tenantId, userId }: { tenantId: string; userId: string }): string =>
  `inbox ${tenantId} ${userId}`

/** Entries of the caller and of nobody else. */
export const own = (tx: Tx): Sql => sql`n.tenant_id = ${tx.ctx.tenantId} and n.user_id = ${tx.ctx.rights.userId}`

/** Entries that neither sleep nor have expired. */
export const shown: Sql = sql`(n.snoozed_until is null or n.snoozed_until <= now())
  and (n.expires_at is null or n.expires_at > now())`
