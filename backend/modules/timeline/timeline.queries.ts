import sql, { empty, raw, type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { isMergedSql } from '../../kernel/entity/aliases.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { type ActivityFilters, narrowed } from './filters.ts'
import { type Visibility, visible } from './visibility.ts'
import { queryOf } from './words.ts'

/** Where a page of activities ended. */
export interface Place {
  readonly occurredAt: string
  readonly id: string
}

/** An activity as Postgres printed it, with its place. */
export interface PrintedActivity extends Place {
  readonly json: string
}

/** Activities, newest first, after a place. */
export async function listActivities(
  tx: Tx,
  visibility: Visibility,
  filters: ActivityFilters,
  after: Place | null,
  limit: number,
): Promise<PrintedActivity[]> {
  return tx.query<PrintedActivity>(sql`
    select ${printed} from activities a
    where a.tenant_id = ${tx.ctx.tenantId} ${narrowed(filters)} ${visible(visibility, filters)}
      ${beyond(after)}
    order by a.occurred_at desc, a.id desc limit ${limit}`)
}

/** Activities of a record under all its ids, newest first, after a place: the next of each id, and of those the newest. */
export async function listActivitiesUnder(
  tx: Tx,
  visibility: Visibility,
  ids: readonly string[],
  filters: ActivityFilters,
  after: Place | null,
  limit: number,
): Promise<PrintedActivity[]> {
  return tx.query<PrintedActivity>(sql`
    select ${printed} from unnest(${ids}::uuid[]) i(id) cross join lateral (
      select a.* from activities a
      where a.tenant_id = ${tx.ctx.tenantId} and a.entity_id = i.id ${narrowed({ ...filters, entityId: undefined })} ${visible(visibility, filters)}
        ${beyond(after)}
      order by a.occurred_at desc, a.id desc limit ${limit}) a
    order by a.occurred_at desc, a.id desc limit ${limit}`)
}

/** Activities whose sentence or name of the record has all words of a question, newest first, after a place. */
export async function searchActivities(
  tx: Tx,
  visibility: Visibility,
  question: string,
  filters: ActivityFilters,
  after: Place | null,
  limit: number,
): Promise<PrintedActivity[]> {
  const words = queryOf(tx.ctx.tenantId, question)
  if (words === null) return []
  return tx.query<PrintedActivity>(sql`
    select ${printed} from search_activities(${words}::tsquery, ${JSON.stringify(visibility)}::jsonb,
      ${JSON.stringify(filters)}::jsonb, ${after && JSON.stringify(after)}::jsonb, ${limit}) a
    order by a.occurred_at desc, a.id desc`)
}

/**
 * The ids under which things were done to a record, its own first: those that were merged into it lived before it. Null
 * when the caller may not read it; deleted or not, but for what is merged itself.
 */
export async function idsOfRecord(tx: Tx, entity: Entity, id: string): Promise<[string, ...string[]] | null> {
  const scope = tx.ctx.rights.scope(entity.type, 'read')
  const found = plan(
    (bind) => `
      select array(select a.id from record_aliases a
        where a.tenant_id = ${bind('tenant', 'uuid')} and a.record_type = '${entity.type}' and a.target_id = r.id) as merged
      from ${entity.table} r
      where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')}
        and ${scopeSql(entity, scope, 'r', bind, 'holders')} and not ${isMergedSql(entity, 'r', bind)}`,
  )
  const [row] = await tx.query<{ merged: string[] }>(
    fill(found, { tenant: tx.ctx.tenantId, id, holders: scopeUsers(scope) }),
  )
  return row ? [id, ...row.merged] : null
}

// Said twice: the comparison of pairs finds the place, the plain one spares the months after it.
const beyond = (after: Place | null): Sql =>
  after === null
    ? empty
    : sql`and a.occurred_at <= ${after.occurredAt}::timestamptz
          and (a.occurred_at, a.id) < (${after.occurredAt}::timestamptz, ${after.id}::uuid)`

const time: Sql = raw(timeSql('a.occurred_at'))

const printed: Sql = sql`
  ${time} as "occurredAt", a.id, json_build_object(
    'id', a.id, 'entityType', a.entity_type, 'entityId', a.entity_id, 'entityName', a.entity_name, 'action', a.action,
    'description', a.description, 'changes', a.changes,
    'actor', json_build_object('id', a.actor_id, 'type', a.actor_type, 'name', a.actor_name),
    'ipAddress', a.ip_address, 'userAgent', a.user_agent, 'requestId', a.request_id, 'operationId', a.operation_id,
    'metadata', a.metadata, 'occurredAt', ${time})::text as json`
