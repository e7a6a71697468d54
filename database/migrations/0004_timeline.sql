-- Up Migration

-- The audit trail: one row for each event of the log that is an activity, under the event's id. Nobody changes or takes
-- away a row. Partitioned by month, so that a page of the newest reads one small index.
create table activities (
  tenant_id uuid not null,
  occurred_at timestamptz(3) not null,
  id uuid not null,
  entity_type text collate "C" not null,
  entity_id uuid,
  entity_name text not null,
  version integer,
  action text collate "C" not null,
  description text not null,
  changes jsonb not null,
  actor_id uuid,
  actor_type text not null,
  actor_name text not null,
  ip_address text,
  user_agent text,
  request_id text not null,
  operation_id uuid not null,
  metadata jsonb not null,
  -- Only for the actor himself and for administrators: who signed in when is no colleague's business.
  personal boolean not null,
  -- Each lexeme begins with eight letters that stand for the tenant (backend/modules/timeline/words.ts), so that the
  -- words of a tenant lie together in the index, and a common word costs what this tenant has of it.
  document tsvector not null,
  -- Serves the plain list, newest first, as do the others under their filter: they are read backwards.
  primary key (tenant_id, occurred_at, id)
) partition by range (occurred_at);
create index activities_entity on activities (tenant_id, entity_type, entity_id, occurred_at, id);
create index activities_type on activities (tenant_id, entity_type, occurred_at, id);
create index activities_action on activities (tenant_id, action, occurred_at, id);
create index activities_actor on activities (tenant_id, actor_id, occurred_at, id);
create index activities_personal on activities (tenant_id, actor_id, occurred_at, id) where personal;
create index activities_document on activities using gin (document) with (fastupdate = off);
call protect('activities', 'select', 'select, insert', 'select');

-- Makes the partitions of last month, of this one and of the months ahead. Called at every start before the first
-- activity, and hourly.
create function make_activity_partitions(months_ahead integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  this_month date := date_trunc('month', now() at time zone 'UTC');
  month date;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.activity_partitions'));
  for month in
    select m::date from generate_series(this_month - interval '1 month', this_month + make_interval(months => months_ahead), interval '1 month') m
  loop
    if to_regclass(format('public.activities_%s', to_char(month, 'YYYYMM'))) is null then
      -- Made apart and then attached: "partition of" would lock the whole timeline.
      execute format('create table public.%I (like public.activities including all)', format('activities_%s', to_char(month, 'YYYYMM')));
      execute format('alter table public.activities attach partition public.%I for values from (%L) to (%L)',
        format('activities_%s', to_char(month, 'YYYYMM')), month::timestamp at time zone 'UTC',
        (month + interval '1 month') at time zone 'UTC');
    end if;
  end loop;
end $$;
call offer('make_activity_partitions(integer)', 'worker');
select make_activity_partitions(2);

-- The newest activities that have all the words. It belongs to the search role: for it the policy is `true`, which the
-- planner drops, so that `@@` (which is not leakproof) becomes an index condition. Planned anew each time: a rare word goes
-- through the index of words, a common one is met soon on the walk from the newest.
--   seen: {types: those open to the caller, or null for all; me: his id; personal: whether he sees those of others}
--   filters: {entityType, action, actorId, from, to}; after: {occurredAt, id} of the last one of the page before
create function search_activities(words tsquery, seen jsonb, filters jsonb, after jsonb, page_size integer)
returns setof activities
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp set jit = off as $$
declare
  tenant uuid := current_tenant();
  conditions text := '';
begin
  if tenant is null then return; end if;
  if seen ->> 'types' is not null then
    conditions := conditions || ' and (a.actor_id = ($3 ->> ''me'')::uuid or a.entity_type = any (array(select jsonb_array_elements_text($3 -> ''types''))))';
  end if;
  if not (seen ->> 'personal')::boolean then
    conditions := conditions || ' and (not a.personal or a.actor_id = ($3 ->> ''me'')::uuid)';
  end if;
  if filters ? 'entityType' then conditions := conditions || ' and a.entity_type = $4 ->> ''entityType'''; end if;
  if filters ? 'action' then conditions := conditions || ' and a.action = $4 ->> ''action'''; end if;
  if filters ? 'actorId' then conditions := conditions || ' and a.actor_id = ($4 ->> ''actorId'')::uuid'; end if;
  if filters ? 'from' then conditions := conditions || ' and a.occurred_at >= ($4 ->> ''from'')::timestamptz'; end if;
  if filters ? 'to' then conditions := conditions || ' and a.occurred_at <= ($4 ->> ''to'')::timestamptz'; end if;
  if after is not null then
    conditions := conditions || ' and a.occurred_at <= ($5 ->> ''occurredAt'')::timestamptz'
      ' and (a.occurred_at, a.id) < (($5 ->> ''occurredAt'')::timestamptz, ($5 ->> ''id'')::uuid)';
  end if;
  return query execute
    'select a.* from activities a where a.tenant_id = $1 and a.document @@ $2' || conditions ||
    ' order by a.occurred_at desc, a.id desc limit $6'
    using tenant, words, seen, filters, after, page_size;
end $$;
call offer('search_activities(tsquery, jsonb, jsonb, jsonb, integer)', 'app');
do $$ begin
  execute format('grant create on schema public to %I', role_named('search'));
  execute format('alter function search_activities(tsquery, jsonb, jsonb, jsonb, integer) owner to %I', role_named('search'));
  execute format('revoke create on schema public from %I', role_named('search'));
end $$;

-- Down Migration

drop function search_activities(tsquery, jsonb, jsonb, jsonb, integer), make_activity_partitions(integer);
drop table activities;
