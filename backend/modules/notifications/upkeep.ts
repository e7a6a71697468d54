import sql from 'sql-template-tag'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { appendingSql, bySystem } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import type { Schedule } from '../../kernel/jobs/job.ts'
import { printed } from './notification.ts'

const atOnce = 500
/** What was read goes after this many days, what was not after twice as many. */
const keptDays = 180

/** What comes back into the inboxes by the clock, and what leaves them. */
export function inboxSchedules(db: Database, entities: ReadonlyMap<string, Entity>): Schedule[] {
  const renamed = [...entities.values()].filter(({ nameFrom }) => nameFrom).map(({ type }) => type)
  return [
    {
      name: 'notifications.end-snoozes',
      queue: 'notifications',
      cron: '* * * * *',
      run: async ({ dryRun, signal }) => ({
        notifications: dryRun ? await countAwake(db.worker) : await wakeAll(db, renamed, signal),
      }),
    },
    {
      name: 'notifications.forget-old',
      queue: 'cleanup',
      cron: '50 2 * * *',
      run: async ({ dryRun, signal }) => ({
        notifications: dryRun ? await countOld(db.worker) : await forgetOld(db.worker, signal),
      }),
    },
  ]
}

async function countAwake(db: WorkerTx): Promise<number> {
  const [row] = await db.query(sql`select count(*)::integer as awake from notifications where snoozed_until <= now()`)
  return row?.awake ?? 0
}

async function wakeAll(db: Database, renamed: readonly string[], signal: AbortSignal): Promise<number> {
  for (let awake = 0; ; ) {
    signal.throwIfAborted()
    const woken = await db.workerTransaction((tx) => wakeSome(tx, renamed))
    awake += woken
    if (woken < atOnce) return awake
  }
}

/**
 * Entries that slept are listed again by themselves; the event tells the devices of their user. What a record is called may
 * have been hidden from him meanwhile: of such nouns the event says only which entry is to be read anew.
 */
async function wakeSome(tx: WorkerTx, renamed: readonly string[]): Promise<number> {
  const ids = Array.from({ length: atOnce }, newId)
  const [row] = await tx.query(sql`
    with ripe as materialized (
      select tenant_id, user_id, id, row_number() over () as place from (
        select tenant_id, user_id, id from notifications where snoozed_until <= now()
        order by snoozed_until limit ${atOnce} for update skip locked) next
    ), woken as (
      update notifications n set snoozed_until = null from ripe r
      where n.tenant_id = r.tenant_id and n.user_id = r.user_id and n.id = r.id
      returning n.*, r.place
    ), told as (
      ${appendingSql(
        {
          tenantId: sql`n.tenant_id`,
          id: sql`(${ids}::uuid[])[n.place]`,
          name: sql`'notification.updated'`,
          type: 'notification',
          recordId: sql`n.id`,
          ...bySystem(newId()),
          record: sql`case when n.entity_type = any(${renamed}::text[]) then null else ${printed} end`,
          data: sql`jsonb_build_object('userId', n.user_id, 'ids', jsonb_build_array(n.id))`,
        },
        sql`woken n`,
      )}
    )
    select count(*)::integer as woken from ripe`)
  return row?.woken ?? 0
}

/** One range of their age, so that the index on it gives them in order. */
const old = sql`created_at < now() - make_interval(days => ${keptDays})
  and (read_at is not null or created_at < now() - make_interval(days => ${keptDays * 2}))`

async function countOld(db: WorkerTx): Promise<number> {
  const [row] = await db.query(sql`select count(*)::integer as old from notifications where ${old}`)
  return row?.old ?? 0
}

async function forgetOld(db: WorkerTx, signal: AbortSignal): Promise<number> {
  let [forgotten, from] = [0, '-infinity']
  for (;;) {
    signal.throwIfAborted()
    const { gone, until } = await forgetSome(db, from)
    forgotten += gone
    if (until === null) return forgotten
    from = until
  }
}

/** Until when there is none any more; null when that is all. What stays, as nobody has read it, is not walked over again. */
async function forgetSome(db: WorkerTx, from: string): Promise<{ gone: number; until: string | null }> {
  const [row] = await db.query(sql`
    with ripe as materialized (
      select tenant_id, user_id, id, created_at from notifications where ${old} and created_at >= ${from}::timestamptz
      order by created_at limit ${atOnce}
    ), gone as (
      delete from notifications n using ripe r where n.tenant_id = r.tenant_id and n.user_id = r.user_id and n.id = r.id
      returning 1)
    select (select count(*) from gone)::integer as gone,
      case when count(*) = ${atOnce} then max(created_at)::text end as until from ripe`)
  return { gone: row?.gone ?? 0, until: row?.until ?? null }
}
