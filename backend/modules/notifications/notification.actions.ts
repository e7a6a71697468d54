import sql, { type Sql } from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { notFound } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import { countUnread, findEntry, inboxLock, own, shown } from './notification.queries.ts'
import { type Notification, printed } from './notification.ts'
import { oneAsSeen } from './seen.ts'

/** What an inbox stands on. */
export interface InboxDeps {
  readonly db: Database
  readonly entities: ReadonlyMap<string, Entity>
}

/** Marks an entry read. One that is read already stays as it is. */
export function markRead(deps: InboxDeps, ctx: Ctx, id: string): Promise<Notification> {
  return change(
    deps,
    ctx,
    id,
    (tx) => sql`
    update notifications n set read_at = now() where ${own(tx)} and n.id = ${id} and n.read_at is null
    returning ${printed} as entry`,
  )
}

/** Marks an entry unread. */
export function markUnread(deps: InboxDeps, ctx: Ctx, id: string): Promise<Notification> {
  return change(
    deps,
    ctx,
    id,
    (tx) => sql`
    update notifications n set read_at = null where ${own(tx)} and n.id = ${id} and n.read_at is not null
    returning ${printed} as entry`,
  )
}

/** Puts an entry to sleep: until then it is neither listed nor counted. */
export function snooze(deps: InboxDeps, ctx: Ctx, id: string, until: string): Promise<Notification> {
  return change(
    deps,
    ctx,
    id,
    (tx) => sql`
    update notifications n set snoozed_until = ${until}
    where ${own(tx)} and n.id = ${id} and n.snoozed_until is distinct from ${until}
    returning ${printed} as entry`,
  )
}

/** Marks all entries read that are listed now; those that sleep come back unread. Answers how many. */
export function markAllRead(deps: InboxDeps, ctx: Ctx): Promise<number> {
  return inTurn(deps, ctx, async (tx) => {
    const rows = await tx.query(sql`
      update notifications n set read_at = now() where ${own(tx)} and n.read_at is null and ${shown} returning 1`)
    // One event for all of them: it carries the new count, and says of no single entry.
    if (rows.length > 0) await tell(tx, 'notification.updated')
    return rows.length
  })
}

/** Deletes an entry. */
export function remove(deps: InboxDeps, ctx: Ctx, id: string): Promise<void> {
  return inTurn(deps, ctx, async (tx) => {
    const [row] = await tx.query<{ entry: Notification }>(sql`
      delete from notifications n where ${own(tx)} and n.id = ${id} returning ${printed} as entry`)
    if (!row) throw notFound()
    await tell(tx, 'notification.deleted', await oneAsSeen(tx, deps.entities, row.entry))
  })
}

/** Deletes those of the entries that are the caller's and still there. Answers how many. */
export function removeSeveral(deps: InboxDeps, ctx: Ctx, ids: readonly string[]): Promise<number> {
  return inTurn(deps, ctx, async (tx) => {
    const rows = await tx.query<{ id: string }>(sql`
      delete from notifications n where ${own(tx)} and n.id = any(${ids}::uuid[]) returning n.id`)
    if (rows.length > 0) await tell(tx, 'notification.deleted', null, { ids: rows.map(({ id }) => id) })
    return rows.length
  })
}

function change(deps: InboxDeps, ctx: Ctx, id: string, statement: (tx: Tx) => Sql): Promise<Notification> {
  return inTurn(deps, ctx, async (tx) => {
    const [row] = await tx.query<{ entry: Notification }>(statement(tx))
    const found = row?.entry ?? (await findEntry(tx, id))
    if (!found) throw notFound()
    const entry = await oneAsSeen(tx, deps.entities, found)
    if (row) await tell(tx, 'notification.updated', entry)
    return entry
  })
}

/** Changes of one inbox wait for each other: else each of two at once tells a count that lacks the other's. */
function inTurn<T>({ db }: InboxDeps, ctx: Ctx, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(ctx, async (tx) => {
    const inbox = inboxLock({ tenantId: ctx.tenantId, userId: ctx.rights.userId })
    await tx.query(sql`select pg_advisory_xact_lock(hashtextextended(${inbox}, 0))`)
    return work(tx)
  })
}

async function tell(
  tx: Tx,
  name: 'notification.updated' | 'notification.deleted',
  record: Notification | null = null,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const data = { userId: tx.ctx.rights.userId, unreadCount: await countUnread(tx), ...more }
  await appendEvents(tx, [{ name, type: 'notification', recordId: record?.id ?? null, record, data }])
}
