import sql, { raw } from 'sql-template-tag'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Turn } from '../../kernel/jobs/job.ts'
import type { Module } from '../../kernel/module.ts'

/** How many days a deleted record can be restored. */
export const keptDays = 30

const atOnce = 200

/** Takes deleted records away for good when nobody can restore them any more. */
export function purgeModule({ db, entities }: { db: Database; entities: readonly Entity[] }): Module {
  return {
    name: 'purge',
    schedules: [
      {
        name: 'records.purge',
        queue: 'cleanup',
        cron: '20 2 * * *',
        timeout: 1_800_000,
        run: async (turn) => {
          const counts: Record<string, number> = {}
          for (const entity of entities) counts[entity.path] = await purge(db, entity, turn)
          return { ...counts, merges: await purgeMerges(db, entities, turn) }
        },
      },
    ],
  }
}

async function purge(db: Database, entity: Entity, { dryRun, signal }: Turn): Promise<number> {
  if (dryRun) return countRipe(db.worker, entity)
  for (let purged = 0; ; ) {
    signal.throwIfAborted()
    const gone = await db.workerTransaction((tx) => purgeSome(tx, entity))
    purged += gone
    if (gone < atOnce) return purged
  }
}

async function countRipe(db: WorkerTx, entity: Entity): Promise<number> {
  const [row] = await db.query(sql`
    select count(*)::integer as ripe from ${raw(entity.table)} where deleted_at < now() - make_interval(days => ${keptDays})`)
  return row?.ripe ?? 0
}

/** The rows with what stands beside them without a foreign key; what has one goes, or forgets them, by itself. */
async function purgeSome(tx: WorkerTx, entity: Entity): Promise<number> {
  const [row] = await tx.query(sql`
    with ripe as materialized (
      select tenant_id, id from ${raw(entity.table)} where deleted_at < now() - make_interval(days => ${keptDays})
      order by deleted_at limit ${atOnce}
    ), gone as (
      delete from ${raw(entity.table)} x using ripe r
      where x.tenant_id = r.tenant_id and x.id = r.id and x.deleted_at < now() - make_interval(days => ${keptDays})
      returning x.tenant_id, x.id
    ), tags as (
      delete from record_tags x using gone g
      where x.tenant_id = g.tenant_id and x.record_id = g.id and x.record_type = ${entity.type}
    ), links as (
      delete from record_links x using gone g
      where x.tenant_id = g.tenant_id and x.record_id = g.id and x.record_type = ${entity.type}
    ), shares as (
      delete from record_shares x using gone g
      where x.tenant_id = g.tenant_id and x.record_id = g.id and x.record_type = ${entity.type}
    ), custom as (
      delete from custom_values x using gone g where x.tenant_id = g.tenant_id and x.record_id = g.id
    ), aliases as (
      delete from record_aliases x using gone g
      where x.tenant_id = g.tenant_id and x.target_id = g.id and x.record_type = ${entity.type}
    )
    select count(*)::integer as purged from gone`)
  return row?.purged ?? 0
}

/** What was kept to take merges back goes with the merged records; their ids go on leading to the survivor. */
async function purgeMerges(db: Database, entities: readonly Entity[], { dryRun, signal }: Turn): Promise<number> {
  let purged = 0
  for (const entity of entities.filter(({ sameness }) => sameness !== undefined)) {
    if (dryRun) purged += await countSpentMerges(db.worker, entity)
    else
      for (let gone = atOnce; gone === atOnce; purged += gone) {
        signal.throwIfAborted()
        gone = await purgeSomeMerges(db.worker, entity)
      }
  }
  return purged
}

/** Those whose records are gone, or go in this turn. */
async function countSpentMerges(db: WorkerTx, { type, table }: Entity): Promise<number> {
  const [row] = await db.query(sql`
    select count(*)::integer as spent from merges m
    where m.record_type = ${type} and m.merged_at < now() - make_interval(days => ${keptDays}) and not exists (
      select from ${raw(table)} x where x.tenant_id = m.tenant_id and x.id = any(m.from_ids)
        and (x.deleted_at is null or x.deleted_at >= now() - make_interval(days => ${keptDays})))`)
  return row?.spent ?? 0
}

async function purgeSomeMerges(db: WorkerTx, { type, table }: Entity): Promise<number> {
  const gone = await db.query(sql`
    delete from merges d using (
      select m.tenant_id, m.id from merges m
      where m.record_type = ${type} and m.merged_at < now() - make_interval(days => ${keptDays}) and not exists (
        select from ${raw(table)} x where x.tenant_id = m.tenant_id and x.id = any(m.from_ids))
      order by m.merged_at limit ${atOnce}) spent
    where d.tenant_id = spent.tenant_id and d.id = spent.id returning d.id`)
  return gone.length
}
