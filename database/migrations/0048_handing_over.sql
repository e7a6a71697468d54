-- Up Migration

-- Teams stand below others: who leads a team leads those below it.
alter table teams add column parent_id uuid,
  add foreign key (tenant_id, parent_id) references teams on delete set null (parent_id);
create index teams_parent on teams (tenant_id, parent_id, created_at, id) where deleted_at is null and archived_at is null;
create trigger teams_parent before update of parent_id on teams for each row
  when (new.parent_id is not null and new.parent_id is distinct from old.parent_id) execute function parent_is_no_descendant();

-- What somebody who leaves had is given to another, some at a time: how far it is.
create table hand_overs (
  tenant_id uuid not null references tenants,
  id uuid not null,
  from_id uuid not null,
  to_id uuid not null,
  status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed')),
  total integer,
  -- How many of each type have gone over.
  moved jsonb not null default '{}',
  failure text,
  created_by_id uuid,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  completed_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, from_id) references users,
  foreign key (tenant_id, to_id) references users
);
call protect('hand_overs', 'select, insert, update', 'select, delete');

-- Who is online, at which process; a process that does not say for a while that it is there is gone, and its people with
-- it. After a crash of the database nobody is connected: it need not survive one.
create unlogged table live_processes (
  id uuid primary key,
  seen_at timestamptz(3) not null default now()
);
create unlogged table presences (
  tenant_id uuid not null,
  user_id uuid not null,
  process_id uuid not null,
  since timestamptz(3) not null default now(),
  primary key (tenant_id, user_id, process_id)
);
create index presences_process on presences (process_id);
call protect('presences', null, 'select, insert, update, delete');
do $$ begin execute format('grant select, insert, update, delete on live_processes to %I', role_named('worker')); end $$;

-- Down Migration

drop table presences, live_processes, hand_overs;
drop trigger teams_parent on teams;
alter table teams drop column parent_id;
