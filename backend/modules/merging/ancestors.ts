import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'

/** A record with what stands above it. */
export interface Ancestor {
  readonly id: string
  readonly parentId: string | null
}

/** The members by which records of a noun stand in a tree (`parentId`). */
export const parentMembers = (entity: Entity): string[] =>
  Object.entries(entity.all)
    .filter(([, field]) => field.ref === entity.type && !field.many && !field.readOnly)
    .map(([name]) => name)

/** A record and all above it, from below; a tree that runs in a circle ends after many. */
export async function ancestorsOf(tx: Tx, entity: Entity, member: string, id: string): Promise<Ancestor[]> {
  const plan = plans(`${entity.type} ${member}`, (bind) => {
    const field = entity.all[member]
    if (!field) throw new Error(`${entity.type} has no member ${member}`)
    const tenant = bind('tenant', 'uuid')
    const parent = columnOf(member, field)
    return `
      with recursive up(id, parent_id, level) as (
        select r.id, r.${parent}, 1 from ${entity.table} r where r.tenant_id = ${tenant} and r.id = ${bind('id', 'uuid')}
        union all
        select r.id, r.${parent}, u.level + 1 from up u
        join ${entity.table} r on r.tenant_id = ${tenant} and r.id = u.parent_id where u.level < ${mostLevels}
      ) select u.id, u.parent_id as "parentId" from up u order by u.level`
  })
  return tx.query<Ancestor>(fill(plan, { tenant: tx.ctx.tenantId, id }))
}

const plans = planCache(20)
const mostLevels = 200
