import sql, { empty, type Sql } from 'sql-template-tag'

/** What a list of activities is narrowed to. Times are RFC 3339; both ends belong to the span. */
export interface ActivityFilters {
  readonly entityType?: string | undefined
  readonly entityId?: string | undefined
  readonly action?: string | undefined
  readonly actorId?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** The conditions of filters over alias `a`. */
export function narrowed({ entityType, entityId, action, actorId, from, to }: ActivityFilters): Sql {
  return sql`
    ${entityType === undefined ? empty : sql`and a.entity_type = ${entityType}`}
    ${entityId === undefined ? empty : sql`and a.entity_id = ${entityId}`}
    ${action === undefined ? empty : sql`and a.action = ${action}`}
    ${actorId === undefined ? empty : sql`and a.actor_id = ${actorId}`}
    ${from === undefined ? empty : sql`and a.occurred_at >= ${from}::timestamptz`}
    ${to === undefined ? empty : sql`and a.occurred_at <= ${to}::timestamptz`}`
}
