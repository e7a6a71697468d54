-- Up Migration

-- Until where the scores of a resource that time alone changes have been worked out again, and when that was last finished.
create table score_refreshes (
  tenant_id uuid not null references tenants,
  resource text collate "C" not null,
  after_id uuid not null default '00000000-0000-0000-0000-000000000000',
  finished_at timestamptz(3),
  primary key (tenant_id, resource)
);
call protect('score_refreshes', null, 'select, insert, update');

-- The days of the log that every cursor and parked event is past and that are older than the days to keep, the oldest first.
create function droppable_event_partitions(keep_days integer) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  part record;
  held boolean;
begin
  for part in
    -- The case, because the planner may look at the names of all tables before it knows which are days.
    select c.relname, d.day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid cross join lateral (
      select case when c.relname ~ '^events_[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end) as d(day)
    where i.inhparent = 'public.events'::regclass and d.day < (now() at time zone 'UTC')::date - keep_days
    order by c.relname
  loop
    execute format(
      'select exists (select 1 from public.%I e, public.event_cursors c where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq))
           or exists (select 1 from public.parked_events p where p.occurred_at >= %L and p.occurred_at < %L)',
      part.relname, part.day::timestamp at time zone 'UTC', (part.day + 1)::timestamp at time zone 'UTC') into held;
    if held then return; end if;
    return next part.relname;
  end loop;
end $$;
call offer('droppable_event_partitions(integer)', 'worker');

-- As in 0002, with the days chosen by the function above.
create or replace function drop_event_partition(keep_days integer) returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '2s' as $$
declare
  day text;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.event_partitions'));
  select d into day from droppable_event_partitions(keep_days) d limit 1;
  if day is null then return null; end if;
  execute format('alter table public.events detach partition public.%I', day);
  execute format('drop table public.%I', day);
  return day;
end $$;

-- The months of the timeline that are older than the full months to keep, the oldest first. A month of which the log has
-- days still is needed: an event of then may become an activity yet.
create function droppable_activity_partitions(keep_months integer) returns setof text
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select c.relname::text
  from pg_inherits i join pg_class c on c.oid = i.inhrelid cross join lateral (
    select case when c.relname ~ '^activities_[0-9]{6}$' then to_date(right(c.relname, 6), 'YYYYMM') end) as m(month)
  where i.inhparent = 'public.activities'::regclass
    and m.month < date_trunc('month', now() at time zone 'UTC') - make_interval(months => keep_months)
    and not exists (
      select from pg_inherits e join pg_class l on l.oid = e.inhrelid
      where e.inhparent = 'public.events'::regclass and l.relname like 'events_' || to_char(m.month, 'YYYYMM') || '__')
  order by c.relname
$$;
call offer('droppable_activity_partitions(integer)', 'worker');

-- Drops the oldest of them; null when there is none. One a call, and never in a long wait, as with the days of the log.
create function drop_activity_partition(keep_months integer) returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '2s' as $$
declare
  month text;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.activity_partitions'));
  select m into month from droppable_activity_partitions(keep_months) m limit 1;
  if month is null then return null; end if;
  execute format('alter table public.activities detach partition public.%I', month);
  execute format('drop table public.%I', month);
  return month;
end $$;
call offer('drop_activity_partition(integer)', 'worker');

-- Down Migration

drop function drop_activity_partition(integer), droppable_activity_partitions(integer);
create or replace function drop_event_partition(keep_days integer) returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '2s' as $$
declare
  part record;
  held boolean;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.event_partitions'));
  for part in
    select c.relname, d.day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid cross join lateral (
      select case when c.relname ~ '^events_[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end) as d(day)
    where i.inhparent = 'public.events'::regclass and d.day < (now() at time zone 'UTC')::date - keep_days
    order by c.relname
  loop
    execute format(
      'select exists (select 1 from public.%I e, public.event_cursors c where e.lane = c.lane and (e.tx, e.seq) > (c.tx, c.seq))
           or exists (select 1 from public.parked_events p where p.occurred_at >= %L and p.occurred_at < %L)',
      part.relname, part.day::timestamp at time zone 'UTC', (part.day + 1)::timestamp at time zone 'UTC') into held;
    if held then return null; end if;
    execute format('alter table public.events detach partition public.%I', part.relname);
    execute format('drop table public.%I', part.relname);
    return part.relname;
  end loop;
  return null;
end $$;
drop function droppable_event_partitions(integer);
drop table score_refreshes;
