import sql, { empty } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { type Comment, printedComment, printedFormer } from './comment.ts'

/** Where a page of comments ended. */
export interface Place {
  readonly createdAt: string
  readonly id: string
}

/** The comments on a record after a place, oldest first. */
export async function listComments(
  tx: Tx,
  on: { type: string; id: string },
  after: Place | null,
  limit: number,
): Promise<Comment[]> {
  const rows = await tx.query<{ comment: Comment }>(sql`
    select ${printedComment} as comment from comments c
    where c.tenant_id = ${tx.ctx.tenantId} and c.entity_type = ${on.type} and c.entity_id = ${on.id}
      ${after === null ? empty : sql`and (c.created_at, c.id) > (${after.createdAt}::timestamptz, ${after.id}::uuid)`}
    order by c.created_at, c.id limit ${limit}`)
  return rows.map(({ comment }) => comment)
}

/** One comment, whoever may read it. */
export async function findComment(tx: Tx, id: string): Promise<Comment | undefined> {
  const [row] = await tx.query<{ comment: Comment }>(sql`
    select ${printedComment} as comment from comments c where c.tenant_id = ${tx.ctx.tenantId} and c.id = ${id}`)
  return row?.comment
}

/** What a comment said before its edits, the newest first, below a version. */
export async function listFormer(tx: Tx, id: string, below: number | null, limit: number): Promise<Former[]> {
  const rows = await tx.query<{ former: Former }>(sql`
    select ${printedFormer} as former from comment_versions f
    where f.tenant_id = ${tx.ctx.tenantId} and f.comment_id = ${id} ${below === null ? empty : sql`and f.version < ${below}`}
    order by f.version desc limit ${limit}`)
  return rows.map(({ former }) => former)
}

/** A text that a comment had, and since when. */
export interface Former {
  readonly version: number
  readonly body: string
  readonly writtenAt: string
}

/** Of these ids those that are no active users of the tenant. */
export async function unknownUsers(tx: Tx, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await tx.query<{ id: string }>(sql`
    select w.id from unnest(${ids}::uuid[]) as w(id)
    where not exists (select 1 from users u where u.tenant_id = ${tx.ctx.tenantId} and u.id = w.id and u.active and u.deleted_at is null)`)
  return rows.map(({ id }) => id)
}
