-- Up Migration

-- The inbox of each user: every row is one person's own.
create table notifications (
  tenant_id uuid not null references tenants,
  user_id uuid not null,
  id uuid not null,
  -- The event that it tells of, or the operation whose many events it sums up: a repetition meets the row that is there.
  source_id uuid not null,
  type text collate "C" not null,
  title text not null,
  message text not null,
  priority text collate "C" not null check (priority in ('low', 'normal', 'high', 'urgent')),
  entity_type text,
  entity_id uuid,
  action_label text,
  action_url text,
  data jsonb not null default '{}',
  read_at timestamptz(3),
  snoozed_until timestamptz(3),
  expires_at timestamptz(3),
  created_at timestamptz(3) not null,
  primary key (tenant_id, user_id, id),
  unique (tenant_id, user_id, source_id, type),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create index notifications_newest on notifications (tenant_id, user_id, created_at, id);
create index notifications_type on notifications (tenant_id, user_id, type, created_at, id);
create index notifications_priority on notifications (tenant_id, user_id, priority, created_at, id);
-- Also counts what is unread, exactly and without looking at the rows.
create index notifications_unread on notifications (tenant_id, user_id, created_at, id)
  include (snoozed_until, expires_at) where read_at is null;
call protect('notifications', 'select, update, delete', 'select, insert, update');

-- Down Migration

drop table notifications;
