import sql from 'sql-template-tag'
import { mayNot } from '../../kernel/context.ts'
import type { Tx } from '../../kernel/db/database.ts'
import type { Expected, Repository, Values } from '../../kernel/entity/repository.ts'
import { refuseAltered } from '../../kernel/entity/sent-back.ts'
import { forbidden, invalid, invalidMember, notFound, stale } from '../../kernel/errors.ts'
import { appendEvents } from '../../kernel/events/append.ts'
import type { NewEvent } from '../../kernel/events/event.ts'
import { newId } from '../../kernel/ids.ts'
import { reaches } from '../../kernel/rights.ts'
import { findComment, unknownUsers } from './comment.queries.ts'
import { type Comment, mentionsOf, printedComment } from './comment.ts'

/** The records that can be commented on, by type. */
export type Commented = ReadonlyMap<string, Repository>

const mostMentions = 100

/** Says something about a record that the caller may read, and notes whom it mentions. */
export async function addComment(tx: Tx, records: Repository, recordId: string, body: string): Promise<Comment> {
  // Nobody merges the record away before the comment hangs on it.
  await tx.query(sql`select lock_reference(${tx.ctx.tenantId}, ${recordId})`)
  const record = JSON.parse((await records.get(tx, recordId)).json)
  const { type } = records.entity
  if (tx.ctx.rights.scope('comment', 'create') === 'none') throw mayNot(tx.ctx, 'create', 'comment')
  const mentions = await mentionedIn(tx, body, [])
  const [row] = await tx.query<{ comment: Comment }>(sql`
    with c as (
      insert into comments (tenant_id, id, entity_type, entity_id, body, author_id, mentions)
      values (${tx.ctx.tenantId}, ${newId()}, ${type}, ${recordId}, ${body}, ${tx.ctx.actor.id}, ${mentions})
      returning *
    ) select ${printedComment} as comment from c`)
  if (!row) throw new Error('a comment was not made')
  const { comment } = row
  await appendEvents(tx, [eventOf('created', comment, record, { before: null, after: body, mentioned: mentions })])
  return comment
}

/** Changes what the caller said; the former text is kept, and only who is newly mentioned is told. */
export async function editComment(
  tx: Tx,
  commented: Commented,
  id: string,
  { body, ...readOnly }: { readonly body?: string | undefined } & Values,
  expected: Expected,
): Promise<Comment> {
  const { comment: before, record } = await held(tx, commented, id)
  if (before.authorId !== tx.ctx.actor.id || tx.ctx.rights.scope('comment', 'update') === 'none')
    throw forbidden('Only its author changes a comment')
  if (expected !== null && !expected.includes(before.version)) throw stale()
  refuseAltered(before, readOnly)
  if (body === undefined || body === before.body) return before
  const mentions = await mentionedIn(tx, body, before.mentions)
  const [row] = await tx.query<{ comment: Comment }>(sql`
    with former as (
      insert into comment_versions (tenant_id, comment_id, version, body, written_at)
      select c.tenant_id, c.id, c.version, c.body, coalesce(c.edited_at, c.created_at) from comments c
      where c.tenant_id = ${tx.ctx.tenantId} and c.id = ${id}
    ), c as (
      update comments c set body = ${body}, mentions = ${mentions}, version = c.version + 1,
        edited_at = greatest(now(), c.updated_at), updated_at = greatest(now(), c.updated_at)
      where c.tenant_id = ${tx.ctx.tenantId} and c.id = ${id} returning *
    ) select ${printedComment} as comment from c`)
  if (!row) throw notFound()
  const mentioned = mentions.filter((userId) => !before.mentions.includes(userId))
  await appendEvents(tx, [eventOf('updated', row.comment, record, { before: before.body, after: body, mentioned })])
  return row.comment
}

/** Takes a comment away: its author, or an administrator. What it said stays in the timeline. */
export async function removeComment(tx: Tx, commented: Commented, id: string, expected: Expected): Promise<void> {
  const { comment, record } = await held(tx, commented, id)
  const ownerIds = comment.authorId === null ? [] : [comment.authorId]
  if (!reaches(tx.ctx.rights.scope('comment', 'delete'), { ownerIds, createdById: null }))
    throw forbidden('Only its author or an administrator deletes a comment')
  if (expected !== null && !expected.includes(comment.version)) throw stale()
  await tx.query(sql`delete from comments where tenant_id = ${tx.ctx.tenantId} and id = ${id}`)
  await appendEvents(tx, [eventOf('deleted', comment, record, { before: comment.body, after: null, mentioned: [] })])
}

/** A comment on a record that the caller may read, and the record; 404 without either. */
export async function readComment(
  tx: Tx,
  commented: Commented,
  id: string,
): Promise<{ comment: Comment; record: Record<string, unknown> }> {
  const comment = await findComment(tx, id)
  const records = comment && commented.get(comment.entityType)
  if (!comment || !records) throw notFound()
  return { comment, record: JSON.parse((await records.get(tx, comment.entityId)).json) }
}

/** The same, for a change: who comes at the same time waits. */
async function held(tx: Tx, commented: Commented, id: string) {
  await tx.query(sql`select 1 from comments where tenant_id = ${tx.ctx.tenantId} and id = ${id} for update`)
  return readComment(tx, commented, id)
}

/** Whom a text mentions. Who was mentioned before may have left since; who is new must be there. */
async function mentionedIn(tx: Tx, body: string, before: readonly string[]): Promise<string[]> {
  const mentions = mentionsOf(body)
  if (mentions.length > mostMentions) throw invalidMember('body', `must mention at most ${mostMentions} people`)
  const fresh = mentions.filter(({ userId }) => !before.includes(userId))
  const unknown = await unknownUsers(
    tx,
    fresh.map(({ userId }) => userId),
  )
  const wrong = fresh.filter(({ userId }) => unknown.includes(userId))
  if (wrong.length > 0) {
    throw invalid(
      wrong.map(({ text }) => ({
        path: 'body',
        message: `${text} mentions nobody of your tenant`,
        code: 'invalid_reference',
      })),
    )
  }
  return mentions.map(({ userId }) => userId)
}

/** What happens to a comment happens in the timeline of its record: the event is of the record, without a version of it. */
function eventOf(
  verb: 'created' | 'updated' | 'deleted',
  comment: Comment,
  record: Record<string, unknown>,
  { before, after, mentioned }: { before: string | null; after: string | null; mentioned: readonly string[] },
): NewEvent {
  return {
    name: `comment.${verb}`,
    type: comment.entityType,
    recordId: comment.entityId,
    changes: [{ field: 'comment', oldValue: before, newValue: after }],
    record,
    data: { commentId: comment.id, mentioned },
  }
}
