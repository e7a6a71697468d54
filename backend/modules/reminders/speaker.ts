import sql, { raw } from 'sql-template-tag'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { documentSql } from '../../kernel/entity/document.ts'
import { appendingSql, bySystem } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import type { Turn } from '../../kernel/jobs/job.ts'

const atOnce = 500

/** Says every reminder whose time has come: an event of the task that names whom it is for. */
export async function remind(db: Database, task: Entity, { dryRun, signal }: Turn): Promise<{ reminders: number }> {
  if (dryRun) {
    const [row] = await db.worker.query(
      sql`select count(*)::integer as reminders from reminders where said_at is null and at <= now()`,
    )
    return { reminders: row?.reminders ?? 0 }
  }
  for (let reminders = 0; ; ) {
    signal.throwIfAborted()
    const said = await db.workerTransaction((tx) => sayNext(tx, task))
    reminders += said
    if (said < atOnce) return { reminders }
  }
}

/** Marks the next as said and appends their events in one statement; a task that was done meanwhile is passed over. */
async function sayNext(tx: WorkerTx, task: Entity): Promise<number> {
  const ids = Array.from({ length: atOnce }, newId)
  const [row] = await tx.query(sql`
    with ripe as materialized (
      select tenant_id, task_id, user_id, kind from reminders where said_at is null and at <= now()
      order by at limit ${atOnce} for update skip locked
    ), said as (
      update reminders r set said_at = now() from ripe p
      where r.tenant_id = p.tenant_id and r.task_id = p.task_id and r.user_id = p.user_id and r.kind = p.kind
    ), told as (
      ${appendingSql(
        {
          tenantId: sql`r.tenant_id`,
          id: sql`(${ids}::uuid[])[p.place]`,
          name: sql`'task.' || p.kind`,
          type: 'task',
          recordId: sql`r.id`,
          version: sql`r.version`,
          ...bySystem(newId()),
          record: raw(documentSql(task, 'jsonb')),
          data: sql`jsonb_build_object('userIds', p.users)`,
        },
        sql`
          (select tenant_id, task_id, kind, jsonb_agg(user_id) as users, row_number() over () as place
           from ripe group by 1, 2, 3) p
          join tasks r on r.tenant_id = p.tenant_id and r.id = p.task_id and r.deleted_at is null
            and r.status in ('open', 'in_progress')`,
      )}
    )
    select count(*)::integer as said from ripe`)
  return row?.said ?? 0
}
