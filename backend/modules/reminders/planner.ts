import sql from 'sql-template-tag'
import type { WorkerTx } from '../../kernel/db/database.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'

/**
 * The subscription that plans reminders: of a task that is due, at its `remindAt`, else at nine in the morning of that day
 * where the assignee lives, at least an hour before; of one that is overdue, when its time has passed. What lies in the past
 * when many tasks come at once, as by an import, is no news.
 */
export function reminderSubscription(): Subscription<Touched> {
  return {
    name: 'reminders',
    patterns: ['task.*', 'user.updated', 'user.deleted'],
    prepare: async (batch) => ({
      tasks: batch.flatMap(({ type, tenantId, recordId, lane }) =>
        type === 'task' && recordId !== null ? [{ tenantId, id: recordId, bulk: lane === 'bulk' }] : [],
      ),
      users: batch.flatMap((event) =>
        event.recordId !== null && movesUser(event) ? [{ tenantId: event.tenantId, id: event.recordId }] : [],
      ),
    }),
    apply: async (tx, touched) => {
      if (touched.tasks.length + touched.users.length === 0) return
      await plan(tx, touched)
    },
  }
}

interface Touched {
  readonly tasks: readonly { tenantId: string; id: string; bulk: boolean }[]
  readonly users: readonly { tenantId: string; id: string }[]
}

const movesUser = ({ type, changes }: DomainEvent): boolean =>
  type === 'user' && changes.some(({ field }) => field === 'timezone' || field === 'active')

/** Reads the tasks as they are now, whatever the events said: the last to be planned is right. */
async function plan(tx: WorkerTx, { tasks, users }: Touched): Promise<void> {
  await tx.query(sql`
    with touched as materialized (
      select "tenantId" as tenant_id, id, bool_and(bulk) as bulk
      from (
        select * from jsonb_to_recordset(${JSON.stringify(tasks)}::jsonb) as t("tenantId" uuid, id uuid, bulk boolean)
        union all
        select u."tenantId", l.record_id, true
        from jsonb_to_recordset(${JSON.stringify(users)}::jsonb) as u("tenantId" uuid, id uuid)
        join record_links l on l.tenant_id = u."tenantId" and l.record_type = 'task' and l.member = 'assigneeIds'
          and l.target_id = u.id) each
      group by 1, 2
    ), planned as materialized (
      select k.tenant_id, t.id as task_id, u.id as user_id, p.kind, p.at, p.basis
      from touched k
      join tasks t on t.tenant_id = k.tenant_id and t.id = k.id and t.deleted_at is null and t.archived_at is null
        and t.status in ('open', 'in_progress')
      join tenants o on o.id = t.tenant_id
      cross join unnest(t.assignee_ids) as assignee
      join users u on u.tenant_id = t.tenant_id and u.id = assignee and u.active and u.deleted_at is null
      cross join lateral (select coalesce(u.timezone, o.timezone, 'UTC') as zone) z
      cross join lateral (select least((date_trunc('day', t.due_at at time zone z.zone) + interval '9 hours') at time zone z.zone,
        t.due_at - interval '1 hour') as morning) m
      cross join lateral (values
        ('due', coalesce(t.remind_at, case when m.morning > now() then m.morning
          when t.due_at > now() then greatest(t.due_at - interval '1 hour', now()) end), coalesce(t.remind_at, t.due_at)),
        ('overdue', t.due_at, t.due_at)) as p(kind, at, basis)
      where p.at > now() - case when k.bulk then interval '0' else interval '7 days' end
    ), dropped as (
      delete from reminders r using touched k
      where r.tenant_id = k.tenant_id and r.task_id = k.id and r.said_at is null and not exists (
        select from planned p where p.tenant_id = r.tenant_id and p.task_id = r.task_id and p.user_id = r.user_id and p.kind = r.kind)
    )
    insert into reminders as r (tenant_id, task_id, user_id, kind, at, basis)
    select tenant_id, task_id, user_id, kind, at, basis from planned order by 1, 2, 3, 4
    on conflict (tenant_id, task_id, user_id, kind) do update
      set at = excluded.at, basis = excluded.basis, said_at = case when r.basis = excluded.basis then r.said_at end`)
}
