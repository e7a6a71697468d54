import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { onlyRenaming } from '../../kernel/entity/renaming.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { MassShape } from '../../kernel/entity/write-plan.ts'

/** What becomes of the tags of records: one of these names is another one, or with null no more. */
export interface Relabelling {
  readonly from: readonly string[]
  readonly to: string | null
}

/** A relabelling as an event brings it. */
export const relabellingSchema = z.object({ from: z.array(z.string()), to: z.string().nullable() })

const batch = 500

/** The nouns whose records carry tags. */
export const taggedNouns = (
  entities: ReadonlyMap<string, Entity>,
  repository: (type: string) => Repository,
): Repository[] => [...entities.values()].filter(({ all }) => all.tags).map(({ type }) => repository(type))

/** Changes the tags of at most so many records of these nouns; says whether any are left. They are bulk work, whoever asked. */
export async function relabel(
  tx: Tx,
  tagged: readonly Repository[],
  relabelling: Relabelling,
  most: number,
): Promise<{ left: boolean }> {
  const bulk: Tx = { ...tx, ctx: { ...tx.ctx, lane: 'bulk' } }
  await onlyRenaming(tx)
  let room = most
  for (const records of tagged) {
    for (;;) {
      const ids = await carrying(tx, records.entity.type, relabelling.from, Math.min(batch, room + 1))
      if (ids.length > room) return { left: true }
      if (ids.length === 0) break
      const { from, to } = relabelling
      // Who was deleted meanwhile carries nothing any more.
      if ((await records.changeMany(bulk, ids, relabelled, { from, to })) === 0) break
      room -= ids.length
    }
  }
  return { left: false }
}

/** Records of a noun that carry one of the names. */
export async function carrying(tx: Tx, type: string, names: readonly string[], most: number): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(sql`
    select distinct t.record_id as id from (
      select r.record_id from unnest(${names}::text[]) as n(name) cross join lateral (
        select r.record_id from record_tags r where r.tenant_id = ${tx.ctx.tenantId} and r.record_type = ${type} and r.tag = n.name
        limit ${most}) r
      limit ${most}) t`)
  return rows.map(({ id }) => id)
}

/** Each name in its place, and one that was there already once. */
const relabelled: MassShape = {
  name: 'relabel',
  sides: ['tags'],
  set: (bind) => ({
    tags: `(select coalesce(array_agg(t.name order by t.place), '{}') from (
      select x.name, min(x.place) as place from (
        select case when e.name = any(${bind('from', 'text[]')}) then ${bind('to', 'text')} else e.name end as name, e.place
        from unnest(o.tags) with ordinality e(name, place)) x
      where x.name is not null group by x.name) t)`,
  }),
}
