import sql, { type Sql } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { narrowed } from './filters.ts'
import { type Visibility, visible } from './visibility.ts'

/** What activities can be counted by. */
export const groupings = ['action', 'entityType', 'actor', 'day', 'week', 'month'] as const
export type Grouping = (typeof groupings)[number]

/** How many activities a group has. */
export interface Group {
  /** The action, type, actor's id (null: the system) or first day of the span. */
  readonly key: string | null
  readonly label: string
  readonly count: number
}

/** Counts the activities of a span by group: the largest first, spans of time in their order. */
export async function countActivities(
  tx: Tx,
  visibility: Visibility,
  span: { from: string; to: string },
  groupBy: Grouping,
): Promise<Group[]> {
  const { key, label, order } = keys[groupBy]
  return tx.query<Group>(sql`
    select ${key} as key, ${label} as label, count(*)::integer as count from activities a
    where a.tenant_id = ${tx.ctx.tenantId} ${narrowed(span)} ${visible(visibility, span)}
    group by ${key} order by ${order} limit 1000`)
}

const largest = sql`count desc, key`
const day = sql`to_char(date_trunc('day', a.occurred_at at time zone 'UTC'), 'YYYY-MM-DD')`
const week = sql`to_char(date_trunc('week', a.occurred_at at time zone 'UTC'), 'YYYY-MM-DD')`
const month = sql`to_char(date_trunc('month', a.occurred_at at time zone 'UTC'), 'YYYY-MM-DD')`

const keys: Readonly<Record<Grouping, { key: Sql; label: Sql; order: Sql }>> = {
  action: { key: sql`a.action`, label: sql`a.action`, order: largest },
  entityType: { key: sql`a.entity_type`, label: sql`a.entity_type`, order: largest },
  actor: { key: sql`a.actor_id`, label: sql`max(a.actor_name)`, order: largest },
  day: { key: day, label: day, order: sql`key` },
  week: { key: week, label: week, order: sql`key` },
  month: { key: month, label: month, order: sql`key` },
}
