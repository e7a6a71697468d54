-- Up Migration

-- When whom to remind of which task. A row stays after it was said, so that a change of the task does not say it again;
-- `basis` is the time of the task that it was made from.
create table reminders (
  tenant_id uuid not null references tenants,
  task_id uuid not null,
  user_id uuid not null,
  kind text not null check (kind in ('due', 'overdue')),
  at timestamptz(3) not null,
  basis timestamptz(3) not null,
  said_at timestamptz(3),
  primary key (tenant_id, task_id, user_id, kind),
  foreign key (tenant_id, task_id) references tasks on delete cascade,
  foreign key (tenant_id, user_id) references users on delete cascade
);
create index reminders_to_say on reminders (at) where said_at is null;
create index reminders_of_user on reminders (tenant_id, user_id);
call protect('reminders', null, 'select, insert, update, delete');

-- Snoozes end, and old entries go.
create index notifications_snoozed on notifications (snoozed_until) where snoozed_until is not null;
create index notifications_old on notifications (created_at);
do $$ begin execute format('grant delete on notifications to %I', role_named('worker')); end $$;

-- Deleted records are purged when their time has come.
create index contacts_deleted on contacts (deleted_at) where deleted_at is not null;
create index companies_deleted on companies (deleted_at) where deleted_at is not null;
create index deals_deleted on deals (deleted_at) where deleted_at is not null;
create index tasks_deleted on tasks (deleted_at) where deleted_at is not null;
create index notes_deleted on notes (deleted_at) where deleted_at is not null;
create index leads_deleted on leads (deleted_at) where deleted_at is not null;
create index products_deleted on products (deleted_at) where deleted_at is not null;
create index interactions_deleted on interactions (deleted_at) where deleted_at is not null;

-- Down Migration

drop index contacts_deleted, companies_deleted, deals_deleted, tasks_deleted, notes_deleted, leads_deleted, products_deleted,
  interactions_deleted, notifications_snoozed, notifications_old;
do $$ begin execute format('revoke delete on notifications from %I', role_named('worker')); end $$;
drop table reminders;
