-- Up Migration

-- What the platform says of a tenant: its plan and what differs from it, features that are on, and whether it is stopped.
alter table tenants
  add column limits jsonb not null default '{}',
  add column flags jsonb not null default '{}',
  add column suspended_at timestamptz(3),
  add column suspension_reason text;
alter table tenants alter column plan set default 'unlimited';
-- Until now a plan was a word without a meaning: nobody who is here wakes up with less than he has.
update tenants set plan = 'unlimited' where plan = 'free';
create index tenants_created_at on tenants (created_at, id);
create index tenants_name on tenants (lower(name) text_pattern_ops, created_at, id);
create index tenants_plan on tenants (plan, created_at, id);
create index tenants_suspended on tenants (created_at, id) where suspended_at is not null;

-- A tenant's own people change its settings; its plan, limits, features and suspension are the platform's.
do $$ begin
  execute format('revoke update on tenants from %I', role_named('app'));
  execute format('grant update (name, timezone, locale, currency, settings, updated_at, version) on tenants to %I', role_named('app'));
end $$;

-- The plans as the configuration has them, written at each start: the triggers below need their numbers.
create table plans (
  name text primary key,
  limits jsonb not null
);
do $$ begin execute format('grant select, insert, update, delete on plans to %I', role_named('worker')); end $$;

-- How much a tenant has of what its plan limits. In one row where there is a limit: who adds waits for who added before
-- until he knows. Without a limit in one of sixteen, so that nobody waits for anybody.
create table tenant_usage (
  tenant_id uuid not null references tenants,
  counted text not null check (counted in ('contacts', 'users', 'storageBytes')),
  slot smallint not null,
  used bigint not null,
  primary key (tenant_id, counted, slot)
) with (fillfactor = 25);
call protect('tenant_usage', 'select', 'select');

-- What a tenant may have of it; null: as much as it likes.
create function limit_of(of_tenant uuid, of_counted text) returns bigint
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select (case when t.limits ? of_counted then t.limits else p.limits end ->> of_counted)::bigint
  from tenants t left join plans p on p.name = t.plan where t.id = of_tenant
$$;
revoke all on function limit_of(uuid, text) from public;

create function adjust_usage(of_tenant uuid, of_counted text, difference bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  allowed bigint;
  total bigint;
begin
  if difference = 0 then return; end if;
  allowed := limit_of(of_tenant, of_counted);
  insert into tenant_usage as u (tenant_id, counted, slot, used)
  values (of_tenant, of_counted, case when allowed is null then 1 + pg_backend_pid() % 16 else 0 end, difference)
  on conflict (tenant_id, counted, slot) do update set used = u.used + excluded.used;
  if difference < 0 or allowed is null then return; end if;
  -- A statement of its own: it sees what was committed while the one above waited.
  select sum(u.used) into total from tenant_usage u where u.tenant_id = of_tenant and u.counted = of_counted;
  if total > allowed then
    raise exception using errcode = 'CF403', column = of_counted,
      message = format('Your plan allows %s %s, and %s are there; take some away, or ask for another plan', allowed,
        case of_counted when 'storageBytes' then 'bytes of files' else of_counted end, total - difference),
      detail = json_build_object('limit', of_counted, 'used', total - difference, 'allowed', allowed)::text;
  end if;
end $$;
revoke all on function adjust_usage(uuid, text, bigint) from public;

-- What one row counts for. Files of imports are kept until a schedule takes them away; those of exports count for nothing,
-- as nobody is to be kept from taking his data out.
create function usage_weight(counted text, held jsonb) returns bigint language sql immutable as $$
  select coalesce(case
    when held is null then 0
    when counted = 'contacts' then (held -> 'deleted_at' = 'null')::integer
    when counted = 'users' then (held -> 'deleted_at' = 'null' and held -> 'active' = 'true')::integer
    when counted = 'storageBytes' then (held #>> '{file,size}')::bigint
  end, 0)
$$;

create function usage_follows() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform adjust_usage(coalesce(new.tenant_id, old.tenant_id), tg_argv[0],
    usage_weight(tg_argv[0], to_jsonb(new)) - usage_weight(tg_argv[0], to_jsonb(old)));
  return null;
end $$;
revoke all on function usage_follows() from public;

-- Imports and bulk calls bring many contacts with one statement: they are counted once.
create function contacts_added() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  each record;
begin
  for each in select a.tenant_id, count(*) as fresh from added a where a.deleted_at is null group by 1 loop
    perform adjust_usage(each.tenant_id, 'contacts', each.fresh);
  end loop;
  return null;
end $$;
revoke all on function contacts_added() from public;

insert into tenant_usage (tenant_id, counted, slot, used)
select tenant_id, 'contacts', 0, count(*) from contacts where deleted_at is null group by 1
union all select tenant_id, 'users', 0, count(*) from users where deleted_at is null and active group by 1
union all select tenant_id, 'storageBytes', 0, sum((file ->> 'size')::bigint) from imports where file is not null group by 1;

create trigger contacts_added after insert on contacts referencing new table as added
  for each statement execute function contacts_added();
create trigger contacts_come_and_go after update of deleted_at on contacts for each row
  when ((old.deleted_at is null) <> (new.deleted_at is null)) execute function usage_follows('contacts');
create trigger contacts_gone after delete on contacts for each row
  when (old.deleted_at is null) execute function usage_follows('contacts');
create trigger users_counted after insert or delete on users for each row execute function usage_follows('users');
create trigger users_come_and_go after update of deleted_at, active on users for each row
  when ((old.deleted_at is null, old.active) <> (new.deleted_at is null, new.active)) execute function usage_follows('users');
create trigger import_files_counted after insert or delete on imports for each row execute function usage_follows('storageBytes');
create trigger import_files_come_and_go after update of file on imports for each row
  when (old.file is distinct from new.file) execute function usage_follows('storageBytes');

-- What a platform operator says of a tenant, in the transaction that tells the tenant's own log of it: `change` holds the
-- columns to set. Gives what the tenant was and is; nothing when there is none, or it is of another version.
create function govern_tenant(of_tenant uuid, change jsonb, versions integer[]) returns table (before jsonb, after jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  was tenants;
  becomes tenants;
begin
  select * into was from tenants t where t.id = of_tenant and (versions is null or t.version = any (versions)) for update;
  if not found then return; end if;
  becomes := jsonb_populate_record(was, change);
  -- What is suspended already is so since it was.
  if change -> 'suspend' = 'true' then becomes.suspended_at := coalesce(was.suspended_at, now()); end if;
  if (becomes.name, becomes.plan, becomes.limits, becomes.flags, becomes.suspended_at, becomes.suspension_reason)
    is distinct from (was.name, was.plan, was.limits, was.flags, was.suspended_at, was.suspension_reason)
  then
    update tenants t set name = becomes.name, plan = becomes.plan, limits = becomes.limits, flags = becomes.flags,
      suspended_at = becomes.suspended_at, suspension_reason = becomes.suspension_reason,
      updated_at = now(), version = was.version + 1
    where t.id = of_tenant;
  end if;
  return query select to_jsonb(was), to_jsonb(t) from tenants t where t.id = of_tenant;
end $$;
call offer('govern_tenant(uuid, jsonb, integer[])', 'app');

drop function create_tenant(uuid, text, boolean);
create function create_tenant(new_id uuid, new_name text, is_demo boolean, new_plan text default 'unlimited') returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into tenants (id, name, demo, plan) values (new_id, new_name, is_demo, new_plan)
$$;
call offer('create_tenant(uuid, text, boolean, text)', 'app');

-- Down Migration

drop function create_tenant(uuid, text, boolean, text);
create function create_tenant(new_id uuid, new_name text, is_demo boolean) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into tenants (id, name, demo) values (new_id, new_name, is_demo)
$$;
call offer('create_tenant(uuid, text, boolean)', 'app');
drop function govern_tenant(uuid, jsonb, integer[]);
drop trigger import_files_come_and_go on imports;
drop trigger import_files_counted on imports;
drop trigger users_come_and_go on users;
drop trigger users_counted on users;
drop trigger contacts_gone on contacts;
drop trigger contacts_come_and_go on contacts;
drop trigger contacts_added on contacts;
drop function contacts_added(), usage_follows(), usage_weight(text, jsonb), adjust_usage(uuid, text, bigint), limit_of(uuid, text);
drop table tenant_usage, plans;
drop index tenants_created_at, tenants_name, tenants_plan, tenants_suspended;
do $$ begin
  execute format('revoke update (name, timezone, locale, currency, settings, updated_at, version) on tenants from %I', role_named('app'));
  execute format('grant update on tenants to %I', role_named('app'));
end $$;
alter table tenants alter column plan set default 'free',
  drop column limits, drop column flags, drop column suspended_at, drop column suspension_reason;
