import { isDeepStrictEqual } from 'node:util'
import type { Tx } from '../../kernel/db/database.ts'
import { fill, planCache } from '../../kernel/db/plan.ts'
import { columnOf, type Entity } from '../../kernel/entity/define.ts'
import type { Field, Related } from '../../kernel/entity/fields.ts'
import { referencesTo } from '../../kernel/entity/referrers.ts'
import type { Repository } from '../../kernel/entity/repository.ts'

/** Records that referred to merged ones by a member: `[id, what it held]`. */
export interface Referrers {
  readonly type: string
  readonly member: string
  readonly rows: readonly (readonly [id: string, value: unknown])[]
}

/** A reference that was changed since the merge, and stays as it is. */
export interface Left {
  readonly type: string
  readonly id: string
  readonly member: string
}

/** Locks and gives what refers to any of these records, up to a number of records. */
export async function findReferrers(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  type: string,
  merged: readonly string[],
  survivorId: string,
  limit: number,
): Promise<Referrers[]> {
  const found: Referrers[] = []
  let left = limit
  for (const { entity, member, field } of referencesTo(entities, type)) {
    const plan = plans(`${entity.type} ${member}`, (bind) => {
      const tenant = bind('tenant', 'uuid')
      const ids = bind('ids', 'uuid[]')
      const column = columnOf(member, field)
      const holding = (archived: string) => `
        select x.id from ${entity.table} x
        where x.tenant_id = ${tenant} and x.${column} = any(${ids}) and x.deleted_at is null and x.archived_at is ${archived}`
      const holders =
        field.side === 'links'
          ? `select l.record_id from record_links l where l.tenant_id = ${tenant} and l.record_type = '${entity.type}'
               and l.member = '${member}' and l.target_id = any(${ids})`
          : `${holding('null')} union all ${holding('not null')}`
      return `
        select r.id, to_jsonb(r.${column}) as value from ${entity.table} r
        where r.tenant_id = ${tenant} and r.id in (${holders}) and r.deleted_at is null and r.id <> all(${bind('parts', 'uuid[]')})
        order by r.id limit ${bind('limit', 'integer')} for update of r`
    })
    const parts = entity.type === type ? [survivorId, ...merged] : []
    const rows = await tx.query<{ id: string; value: unknown }>(
      fill(plan, { tenant: tx.ctx.tenantId, ids: merged, parts, limit: left + 1 }),
    )
    if (rows.length > 0) found.push({ type: entity.type, member, rows: rows.map(({ id, value }) => [id, value]) })
    left -= rows.length
    if (left < 0) return found
  }
  return found
}

/**
 * Points what referred to merged records at what is right when `now` are merged and not `before`; what holds something
 * else by now was changed by somebody, stays, and is given.
 */
export async function pointAnew(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  repository: (type: string) => Repository,
  referrers: readonly Referrers[],
  target: { type: string; survivorId: string; before: readonly string[]; now: readonly string[] },
): Promise<Left[]> {
  const left: Left[] = []
  for (const { type, member, rows } of referrers) {
    const field = entities.get(type)?.all[member]
    if (!field) continue
    const exchanged = rows.flatMap(([id, value]) => {
      const from = replaced(field, value, target.type, target.before, target.survivorId)
      const to = replaced(field, value, target.type, target.now, target.survivorId)
      return isDeepStrictEqual(from, to) ? [] : [{ id, from, to }]
    })
    const done = new Set(await repository(type).exchange(tx, member, exchanged))
    left.push(...exchanged.filter(({ id }) => !done.has(id)).map(({ id }) => ({ type, id, member })))
  }
  return left
}

const plans = planCache(100)

/** A value with the survivor in the place of what is merged, each once. */
function replaced(field: Field, value: unknown, type: string, merged: readonly string[], survivorId: string): unknown {
  const current = (id: string) => (merged.includes(id) ? survivorId : id)
  if (field.refs) {
    const items = (value as Related[]).map((item) => (item.type === type ? { type, id: current(item.id) } : item))
    return [...new Map(items.map((item) => [`${item.type} ${item.id}`, item])).values()]
  }
  return field.many ? [...new Set((value as string[]).map(current))] : current(String(value))
}
