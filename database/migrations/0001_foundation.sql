-- Up Migration

create extension if not exists fuzzystrmatch;
create extension if not exists unaccent;

-- The roles are made before the migrations run (backend/kernel/db/roles.ts). Their prefix is a setting of this session.
create function role_named(kind text) returns name language sql stable as $$
  select (coalesce(nullif(current_setting('clientforge.role_prefix', true), ''), 'clientforge_') || kind)::name
$$;

-- The tenant of the statement: set transaction-locally beside it, null when nobody said one.
create function current_tenant() returns uuid language sql stable parallel safe as $$
  select nullif(current_setting('app.tenant_id', true), '')::uuid
$$;

-- Every table with rows of tenants goes through here: row-level security for the application, and for the worker and
-- search roles just the rights named. Grants stand on parents only: a partition read directly shows everybody's rows.
create procedure protect(target regclass, app text, worker text default null, search text default null, tenant_column name default 'tenant_id')
language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format(
    'create policy tenant on %s to %I using (%I = nullif(current_setting(''app.tenant_id'', true), '''')::uuid) '
    'with check (%I = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)',
    target, role_named('app'), tenant_column, tenant_column);
  if app is not null then execute format('grant %s on %s to %I', app, target, role_named('app')); end if;
  if worker is not null then
    execute format('create policy worker on %s to %I using (true) with check (true)', target, role_named('worker'));
    execute format('grant %s on %s to %I', worker, target, role_named('worker'));
  end if;
  if search is not null then
    execute format('create policy search on %s to %I using (true)', target, role_named('search'));
    execute format('grant %s on %s to %I', search, target, role_named('search'));
  end if;
end $$;

-- A function that the application may call and the public may not.
create procedure offer(target regprocedure, variadic kinds text[])
language plpgsql as $$
declare kind text;
begin
  execute format('revoke all on function %s from public', target);
  foreach kind in array kinds loop
    execute format('grant execute on function %s to %I', target, role_named(kind));
  end loop;
end $$;

do $$ begin
  execute format('grant usage on schema public to %I, %I, %I', role_named('app'), role_named('worker'), role_named('search'));
end $$;

create table tenants (
  id uuid primary key,
  name text not null,
  timezone text not null default 'UTC',
  locale text not null default 'en',
  currency text not null default 'USD',
  plan text not null default 'free',
  settings jsonb not null default '{}',
  demo boolean not null default false,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  version integer not null default 1
);
create unique index tenants_demo on tenants (demo) where demo;
call protect('tenants', 'select, update', 'select', null, 'id');

-- One account for each person, over all tenants. Only the definer functions below reach it.
create table accounts (
  id uuid primary key,
  email text not null,
  email_normal text not null generated always as (lower(email)) stored unique,
  password_hash text not null,
  last_tenant_id uuid,
  created_at timestamptz(3) not null default now()
);

create table teams (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  manager_id uuid,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index teams_name on teams (tenant_id, name) where deleted_at is null;
create unique index teams_external_id on teams (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index teams_created_at on teams (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index teams_updated_at on teams (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
call protect('teams', 'select, insert, update', 'select, delete');

create table users (
  tenant_id uuid not null references tenants,
  id uuid not null,
  account_id uuid not null default nullif(current_setting('app.account_id', true), '')::uuid references accounts,
  name text collate "und-x-icu" not null,
  email text collate "und-x-icu" not null,
  role text not null default 'member' check (role in ('owner', 'admin', 'manager', 'member', 'viewer')),
  team_id uuid,
  manager_id uuid,
  timezone text,
  locale text,
  active boolean not null default true,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, team_id) references teams on delete set null (team_id),
  foreign key (tenant_id, manager_id) references users on delete set null (manager_id)
);
alter table teams add foreign key (tenant_id, manager_id) references users on delete set null (manager_id);
create unique index users_account on users (tenant_id, account_id) where deleted_at is null;
create index users_of_account on users (account_id);
create unique index users_external_id on users (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index users_created_at on users (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index users_updated_at on users (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index users_name on users (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index users_email on users (tenant_id, email, created_at, id) where deleted_at is null and archived_at is null;
create index users_role on users (tenant_id, role, created_at, id) where deleted_at is null and archived_at is null;
create index users_team on users (tenant_id, team_id, created_at, id) where deleted_at is null and archived_at is null;
create index users_manager on users (tenant_id, manager_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('users', 'select, insert, update', 'select, delete');

-- A signed-in device. The refresh token is HMAC(secret, id, generation); only its hash is kept.
create table sessions (
  tenant_id uuid not null references tenants,
  id uuid not null,
  user_id uuid not null,
  generation integer not null default 1,
  token_hash bytea not null,
  previous_hash bytea,
  rotated_at timestamptz(3),
  rotated_from text,
  user_agent text,
  ip text,
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  ended_at timestamptz(3),
  end_reason text,
  primary key (tenant_id, id),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create unique index sessions_by_id on sessions (id);
create index sessions_by_user on sessions (tenant_id, user_id, created_at);
call protect('sessions', 'select, insert, update', 'select, delete');

-- Answers that a repeated POST gets again. Valid until the hourly purge takes what is older than a day.
create table idempotency_keys (
  tenant_id uuid not null references tenants,
  actor_id uuid not null,
  method text not null,
  path text not null,
  key text not null,
  body_hash bytea not null,
  status integer not null,
  headers jsonb not null,
  body text,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, actor_id, method, path, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);
call protect('idempotency_keys', 'select, insert', 'select, delete');

-- Sign-in knows an email and no tenant: these take an exact key and give one row.

create function find_account(wanted_email text) returns table (id uuid, password_hash text, last_tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.password_hash, a.last_tenant_id from accounts a where a.email_normal = lower(wanted_email)
$$;
call offer('find_account(text)', 'app');

create function create_account(new_id uuid, new_email text, new_hash text) returns uuid
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into accounts (id, email, password_hash) values (new_id, new_email, new_hash)
  on conflict (email_normal) do nothing returning id
$$;
call offer('create_account(uuid, text, text)', 'app');

-- The membership with which an account signs in: the tenant used last, else the oldest.
create function find_membership(account uuid) returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.tenant_id, u.id from users u join accounts a on a.id = u.account_id
  where u.account_id = account and u.active and u.deleted_at is null
  order by (u.tenant_id = a.last_tenant_id) desc nulls last, u.created_at, u.id limit 1
$$;
call offer('find_membership(uuid)', 'app');

create function note_tenant(account uuid, tenant uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update accounts set last_tenant_id = tenant where id = account and last_tenant_id is distinct from tenant
$$;
call offer('note_tenant(uuid, uuid)', 'app');

create function create_tenant(new_id uuid, new_name text, is_demo boolean) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into tenants (id, name, demo) values (new_id, new_name, is_demo)
$$;
call offer('create_tenant(uuid, text, boolean)', 'app');

create function find_demo_tenant() returns table (id uuid, name text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select t.id, t.name from tenants t where t.demo order by t.created_at limit 1
$$;
call offer('find_demo_tenant()', 'app');

-- Which tenant a refresh token's session belongs to; the token itself is checked in that tenant.
create function find_session_tenant(session uuid) returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.tenant_id, s.user_id from sessions s where s.id = session
$$;
call offer('find_session_tenant(uuid)', 'app');

-- Down Migration

drop table idempotency_keys, sessions cascade;
alter table teams drop constraint teams_tenant_id_manager_id_fkey;
drop table users, teams, accounts, tenants cascade;
drop function find_account(text), create_account(uuid, text, text), find_membership(uuid),
  note_tenant(uuid, uuid), create_tenant(uuid, text, boolean), find_demo_tenant(), find_session_tenant(uuid);
drop procedure protect(regclass, text, text, text, name), offer(regprocedure, text[]);
drop function current_tenant(), role_named(text);
