import type { Tx } from '../db/database.ts'
import { fillAnew, planCache } from '../db/plan.ts'
import { newId } from '../ids.ts'
import { columnOf, type Entity } from './define.ts'
import { documentSql } from './document.ts'
import { changedChanges, eventSql } from './event-sql.ts'
import type { Registry } from './registry.ts'
import { leavingSql, sideSql } from './sides.ts'
import { nameSql, stampsOf } from './write-plan.ts'
import { signed, type Values } from './write-values.ts'

/** A record whose member is to become another value, if it is what it is thought to be. */
export interface Exchanged {
  readonly id: string
  readonly from: unknown
  readonly to: unknown
}

/** Changes one member of many records, a few hundred a statement and with an event each; asks for no rights, as it follows from a change elsewhere. */
export type Exchange = (tx: Tx, member: string, records: readonly Exchanged[], data?: Values) => Promise<string[]>

/** Makes the exchange of a noun. Records that are deleted, or whose member is something else by now, are left alone. */
export function createExchange(entity: Entity, registry: Registry): Exchange {
  const plans = planCache(50)

  return async (tx, member, records, data = {}) => {
    if (records.length === 0) return []
    const plan = plans(member, (bind) => {
      const field = entity.all[member]
      if (!field) throw new Error(`${entity.type} has no member ${member}`)
      const tenant = bind('tenant', 'uuid')
      const column = columnOf(member, field)
      const doc = documentSql(entity, 'jsonb')
      return `
        with wanted as materialized (
          select * from jsonb_to_recordset(${bind('rows', 'jsonb')}) as w(id uuid, "eventId" uuid, "from" ${field.type}, "to" ${field.type})
        ), old as materialized (
          select r.*, ${doc} as doc, w."eventId" as "eventId", w."to" as "to" from ${entity.table} r join wanted w on w.id = r.id
          where r.tenant_id = ${tenant} and r.deleted_at is null and r.${column} is not distinct from w."from" for update of r
        ), new as (
          update ${entity.table} r set ${[`${column} = o."to"`, ...stampsOf(entity, bind)].join(', ')}
          from old o where r.tenant_id = ${tenant} and r.id = o.id returning r.*
        ), after as materialized (select r.*, ${doc} as doc${leavingSql(entity, [member], 'follow', bind)} from new r),
        event as (${eventSql(entity, nameSql(entity, undefined), changedChanges, 'after n join old o on o.id = n.id', { id: 'o."eventId"' }, bind)}),
        ${sideSql(entity, [member], 'follow', registry, bind)
          .map((cte) => `${cte},`)
          .join('\n')}
        done as (select e.record_id as id, e.version, e.name from event e)
        select * from done`
    })
    const done: string[] = []
    for (let start = 0; start < records.length; start += atOnce) {
      const rows = records.slice(start, start + atOnce).map((record) => ({ ...record, eventId: newId() }))
      const changed = await tx.query<{ id: string; version: number; name: string }>(
        fillAnew(plan, { ...signed(tx, data), rows: JSON.stringify(rows) }),
      )
      for (const { id, version, name } of changed) {
        tx.appended({ tenantId: tx.ctx.tenantId, name, type: entity.type, recordId: id, version })
        done.push(id)
      }
    }
    return done
  }
}

/** The planner expects few rows of a CTE and joins them in nested loops: ten thousand at once ran into the statement's timeout. */
const atOnce = 100
