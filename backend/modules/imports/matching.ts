import type { Tx } from '../../kernel/db/database.ts'
import { fillAnew, planCache } from '../../kernel/db/plan.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { scopeShape, scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { isId } from '../../kernel/ids.ts'
import type { Draft } from './draft.ts'
import type { Plan } from './mapping.ts'

/** A record that a row is, as it was before. */
export interface Match {
  readonly id: string
  readonly before: Readonly<Record<string, unknown>>
}

/** What a row is told by, for rows of one table: two with one key are one record. Null when a part of it is missing. */
export function matchKey({ matchBy, entity }: Plan, draft: Draft): string | null {
  if (matchBy.length === 0) return null
  const parts = matchBy.map((by) => {
    const value = by === 'id' ? draft.id : draft.values[by.member]
    if (value === null || value === undefined) return null
    const normal = by === 'id' ? undefined : entity.all[by.member]?.normal
    return normal ? normal.of(String(value)) : String(value)
  })
  return parts.includes(null) ? null : JSON.stringify(parts)
}

const plans = planCache(100)

/** The records that rows are, by the place of the row. Archived ones are found by their id, external id or normal form. */
export async function findMatches(tx: Tx, plan: Plan, drafts: readonly Draft[]): Promise<ReadonlyMap<Draft, Match>> {
  const { entity, matchBy } = plan
  const asked = drafts.flatMap((draft, place) => {
    if (matchKey(plan, draft) === null || (draft.id !== null && matchBy.includes('id') && !isId(draft.id))) return []
    const keys = matchBy.map((by, index) => [`k${index}`, by === 'id' ? draft.id : draft.values[by.member]])
    return [{ place, ...Object.fromEntries(keys) }]
  })
  if (asked.length === 0) return new Map()
  const scope = tx.ctx.rights.scope(entity.type, 'read')
  const shape = JSON.stringify([entity.type, matchBy.map(nameOf), scopeShape(scope)])
  const statement = plans(shape, (bind) => {
    const keys = matchBy.map((by, index) => keySql(entity, nameOf(by), index))
    const archived = keys.some((key) => key.everywhere) ? '' : 'and r.archived_at is null'
    return `
      with asked as materialized (
        select a.place, ${keys.map((key, index) => `${key.asked} as k${index}`).join(', ')}
        from jsonb_to_recordset(${bind('rows', 'jsonb')}) as a(place integer, ${keys.map((key, index) => `k${index} ${key.type}`).join(', ')}))
      select distinct on (a.place) a.place, r.id, ${documentSql(entity, 'jsonb')} as before
      from asked a join ${entity.table} r on r.tenant_id = ${bind('tenant', 'uuid')} and r.deleted_at is null ${archived}
        and ${keys.map((key, index) => `${key.stored} = a.k${index}`).join(' and ')}
      where ${scopeSql(entity, scope, 'r', bind, 'holders')}
      order by a.place, r.created_at, r.id`
  })
  const values = { tenant: tx.ctx.tenantId, holders: scopeUsers(scope), rows: JSON.stringify(asked) }
  const rows = await tx.query<Match & { place: number }>(fillAnew(statement, values))
  return new Map(
    rows.flatMap(({ place, id, before }) => {
      const draft = drafts[place]
      return draft ? [[draft, { id, before }] as const] : []
    }),
  )
}

const nameOf = (by: Plan['matchBy'][number]): string => (by === 'id' ? 'id' : by.member)

function keySql(entity: Entity, name: string, index: number) {
  const field = entity.all[name]
  if (!field) throw new Error(`${entity.type} has no member ${name}`)
  const { normal, type } = field
  return {
    type,
    asked: normal ? normal.sql(`a.k${index}`) : `a.k${index}`,
    stored: normal ? `r.${normal.column}` : `r.${columnOf(name, field)}`,
    everywhere: normal !== undefined || name === 'id' || name === 'externalId',
  }
}
