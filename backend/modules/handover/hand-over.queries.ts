import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import { timeSql } from '../../kernel/db/print-time.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'
import type { Field } from '../../kernel/entity/fields.ts'
import type { HandOver } from './hand-over.ts'

/** A member by which records are somebody's. */
export interface Held {
  readonly entity: Entity
  readonly member: string
  readonly field: Field
}

/** All members that make something somebody's to look after: owners, assignees, managers. */
export function heldMembers(entities: ReadonlyMap<string, Entity>): Held[] {
  return [...entities.values()].flatMap((entity) =>
    [...(entity.heldBy ?? []), ...(managed.has(entity.type) ? ['managerId'] : [])].flatMap((member) => {
      const field = entity.all[member]
      // What can never be another's, as somebody's views, stays.
      return field && !field.fixed ? [{ entity, member, field }] : []
    }),
  )
}

const managed = new Set(['team', 'user'])

const plans = planCache(100)

/** Locks and gives some records that are a user's by a member, with what the member holds. */
export function lockHeld(tx: Tx, held: Held, userId: string, limit: number): Promise<{ id: string; value: unknown }[]> {
  const { entity, member, field } = held
  const made = plans(`lock ${entity.type} ${member}`, (bind) => {
    const [tenant, user] = [bind('tenant', 'uuid'), bind('user', 'uuid')]
    const column = `r.${columnOf(member, field)}`
    // Asked of the row too: what was given to somebody else while we waited for it is no longer his.
    const his = field.side === 'links' ? `${user} = any(${column})` : `${column} = ${user}`
    return `
      select r.id, to_jsonb(${column}) as value from ${entity.table} r
      where r.tenant_id = ${tenant} and r.deleted_at is null and ${his}
        and r.id in (${holdersSql(held, tenant, user)} limit ${bind('limit', 'integer')})
      order by r.id for no key update of r`
  })
  return tx.query(fill(made, { tenant: tx.ctx.tenantId, user: userId, limit }))
}

/** How many records are a user's by a member. */
export async function countHeld(tx: Tx, held: Held, userId: string): Promise<number> {
  const made = plans(`count ${held.entity.type} ${held.member}`, (bind) => {
    const ids = holdersSql(held, bind('tenant', 'uuid'), bind('user', 'uuid'))
    return `select count(*)::integer as held from (${ids}) h`
  })
  const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, user: userId }))
  return row?.held ?? 0
}

/** Of live records, archived ones too: these stand in an index of their own. */
function holdersSql({ entity, member, field }: Held, tenant: string, user: string): string {
  if (field.side === 'links')
    return `
      select l.record_id from record_links l join ${entity.table} x on x.tenant_id = l.tenant_id and x.id = l.record_id and x.deleted_at is null
      where l.tenant_id = ${tenant} and l.record_type = '${entity.type}' and l.member = '${member}' and l.target_id = ${user}`
  const among = (archived: string) => `
    select x.id from ${entity.table} x
    where x.tenant_id = ${tenant} and x.${columnOf(member, field)} = ${user} and x.deleted_at is null and x.archived_at is ${archived}`
  return `${among('null')} union all ${among('not null')}`
}

/** A hand-over of the tenant. */
export async function readHandOver(tx: Tx, id: string): Promise<HandOver | undefined> {
  const [found] = await tx.query<HandOver>(sql`
    select h.id, h.from_id as "fromId", h.to_id as "toId", h.status, h.total, h.moved, h.failure,
      coalesce((select sum(m.value::integer) from jsonb_each_text(h.moved) m), 0)::integer as processed,
      ${raw(timeSql('h.created_at'))} as "createdAt", ${raw(timeSql('h.completed_at'))} as "completedAt"
    from hand_overs h where h.tenant_id = ${tx.ctx.tenantId} and h.id = ${id}`)
  return found
}
