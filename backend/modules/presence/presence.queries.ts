import sql, { raw } from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import { timeSql } from '../../kernel/db/print-time.ts'

/** A user of a tenant. */
export interface Person {
  readonly tenantId: string
  readonly userId: string
}

/** Seconds after which a process that says nothing is gone, and its people with it. */
export const silence = 6

/** People of one transaction: each takes a lock, and the server has room for some thousands in all. */
export const atOnce = 500

/** Says that a process is there; true when it was unknown, as at its beginning and after it had been taken for gone. */
export async function beat(db: WorkerTx, processId: string): Promise<boolean> {
  const [row] = await db.query(sql`
    insert into live_processes (id) values (${processId}) on conflict (id) do update set seen_at = now()
    returning xmax = 0 as unknown`)
  return row?.unknown === true
}

/** Notes people at a process or takes them out; gives those who came online by it, or went offline, as nowhere else. */
export async function note(
  tx: WorkerTx,
  processId: string,
  people: readonly Person[],
  online: boolean,
): Promise<Person[]> {
  await take(tx, people)
  const wanted = JSON.stringify(people)
  return tx.query<Person>(sql`
    with wanted as materialized (
      select * from jsonb_to_recordset(${wanted}::jsonb) as w("tenantId" uuid, "userId" uuid)
    ), moved as (${
      online
        ? sql`insert into presences (tenant_id, user_id, process_id) select w."tenantId", w."userId", ${processId}::uuid from wanted w
              on conflict do nothing returning tenant_id, user_id`
        : sql`delete from presences p using wanted w
              where p.tenant_id = w."tenantId" and p.user_id = w."userId" and p.process_id = ${processId}::uuid
              returning p.tenant_id, p.user_id`
    })
    select m.tenant_id as "tenantId", m.user_id as "userId" from moved m where not exists (
      select from presences p join live_processes l on l.id = p.process_id and l.seen_at > now() - make_interval(secs => ${silence})
      where p.tenant_id = m.tenant_id and p.user_id = m.user_id and p.process_id <> ${processId}::uuid)`)
}

/**
 * Takes out processes that are gone, and some of the people who were at one. Gives those who are online nowhere else, and
 * whether there are more. One process at a time does it.
 */
export async function sweep(tx: WorkerTx): Promise<{ offline: Person[]; more: boolean }> {
  const [gate] = await tx.query(sql`select pg_try_advisory_xact_lock(hashtext('clientforge.presence')) as free`)
  if (!gate?.free) return { offline: [], more: false }
  await tx.query(sql`delete from live_processes where seen_at < now() - make_interval(secs => ${silence})`)
  const left = await tx.query<Person>(sql`
    delete from presences where (tenant_id, user_id, process_id) in (
      select p.tenant_id, p.user_id, p.process_id from presences p
      where not exists (select from live_processes l where l.id = p.process_id) limit ${atOnce})
    returning tenant_id as "tenantId", user_id as "userId"`)
  const more = left.length === atOnce
  if (left.length === 0) return { offline: [], more }
  await take(tx, left)
  const offline = await tx.query<Person>(sql`
    select distinct w."tenantId", w."userId" from jsonb_to_recordset(${JSON.stringify(left)}::jsonb) as w("tenantId" uuid, "userId" uuid)
    where not exists (select from presences p where p.tenant_id = w."tenantId" and p.user_id = w."userId")`)
  return { offline, more }
}

/** Who of a tenant is online, behind a user. */
export const listOnline = (
  db: WorkerTx,
  tenantId: string,
  after: string | null,
  limit: number,
): Promise<{ userId: string; since: string }[]> =>
  db.query(sql`
    select p.user_id as "userId", ${raw(timeSql('min(p.since)'))} as since
    from presences p join live_processes l on l.id = p.process_id and l.seen_at > now() - make_interval(secs => ${silence})
    where p.tenant_id = ${tenantId} and (${after}::uuid is null or p.user_id > ${after}::uuid)
    group by p.user_id order by p.user_id limit ${limit}`)

/** Two processes at which somebody comes and goes at the same moment take turns: each would see him at the other. */
const take = (tx: WorkerTx, people: readonly Person[]): Promise<unknown> =>
  tx.query(sql`
    select pg_advisory_xact_lock(hashtextextended('clientforge.presence ' || k.key, 0))
    from (select distinct w."tenantId" || ' ' || w."userId" as key
          from jsonb_to_recordset(${JSON.stringify(people)}::jsonb) as w("tenantId" uuid, "userId" uuid) order by 1) k`)
