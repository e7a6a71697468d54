import type { Tx } from '../../kernel/db/database.ts'
import { type Binder, fill, planCache } from '../../kernel/db/plan.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { referencesTo, refersSql } from '../../kernel/entity/referrers.ts'

/** Who refers to a record that an import made: records that stay, or only some that are to be undone as well. */
export type PointedBy = 'others' | 'rest'

/** Tables outside of the engine whose rows refer to records, one line each, and of which records they are a part. */
const tables = [
  { to: 'product', table: 'deal_line_items', column: 'product_id', of: 'deals', part: 'deal_id' },
] as const

/** Who refers to these records that an import made; those that have been deleted since are left out. */
export async function findPointed(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  importId: string,
  entity: Entity,
  ids: readonly string[],
): Promise<ReadonlyMap<string, PointedBy>> {
  const statement = plans(entity.type, (bind) => {
    const tenant = bind('tenant', 'uuid')
    const rest = `exists (select from import_effects e where e.tenant_id = ${tenant}
      and e.import_id = ${bind('import', 'uuid')} and e.record_id = x.id and e.refused is null)`
    return `
      select p.id, p.by from (
        select w.id, case when ${pointedSql(entities, entity.type, `not ${rest}`, bind)} then 'others'
          when ${pointedSql(entities, entity.type, rest, bind)} then 'rest' end as by
        from unnest(${bind('ids', 'uuid[]')}) w(id)
        join ${entity.table} r on r.tenant_id = ${tenant} and r.id = w.id and r.deleted_at is null) p
      where p.by is not null`
  })
  const rows = await tx.query<{ id: string; by: PointedBy }>(
    fill(statement, { tenant: tx.ctx.tenantId, import: importId, ids }),
  )
  return new Map(rows.map(({ id, by }) => [id, by]))
}

const plans = planCache(50)

function pointedSql(entities: ReadonlyMap<string, Entity>, type: string, such: string, bind: Binder): string {
  const members = referencesTo(entities, type).map((one) => refersSql(one, 'w.id', such, bind))
  const parts = tables
    .filter(({ to }) => to === type)
    .map(
      ({ table, column, of, part }) => `
        exists (select from ${table} l join ${of} x on x.tenant_id = l.tenant_id and x.id = l.${part} and x.deleted_at is null
          where l.tenant_id = ${bind('tenant', 'uuid')} and l.${column} = w.id and ${such})`,
    )
  return `(${[...members, ...parts, 'false'].join(' or ')})`
}
