-- Up Migration

-- The log of all changes. Insert-only for the application; partitioned by day, so that old days are dropped whole.
-- A cursor is the pair (tx, seq): seq alone would skip the rows of transactions that commit late.
create sequence events_seq;
create table events (
  tenant_id uuid not null,
  tx xid8 not null default pg_current_xact_id(),
  seq bigint not null default nextval('events_seq'),
  id uuid not null,
  lane smallint not null,
  name text not null,
  type text not null,
  record_id uuid,
  version integer,
  occurred_at timestamptz(3) not null default now(),
  actor jsonb not null,
  request_id text not null,
  operation_id uuid not null,
  ip text,
  user_agent text,
  changes jsonb not null default '[]',
  record jsonb,
  data jsonb not null default '{}',
  primary key (tenant_id, tx, seq, occurred_at)
) partition by range (occurred_at);
create index events_lane on events (lane, tx, seq);
call protect('events', 'select, insert', 'select, insert');
do $$ begin
  execute format('grant usage on sequence events_seq to %I, %I', role_named('app'), role_named('worker'));
end $$;

-- The next events of a lane after a position and below a horizon, in their order. What stands behind the cursor is newer
-- than the statistics, so that the planner expects next to nothing there and would sort the whole backlog for each page
-- (measured with 100,000 events behind: 70 ms, in the order of the index 0.6 ms). Planned once a session.
create function read_events(of_lane smallint, after_tx xid8, after_seq bigint, horizon xid8, at_most integer)
returns setof events
language plpgsql stable set search_path = pg_catalog, public, pg_temp
set enable_sort = off set enable_bitmapscan = off set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
begin
  return query
    select e.* from events e
    where e.lane = of_lane and (e.tx, e.seq) > (after_tx, after_seq) and e.tx < horizon
    order by e.tx, e.seq limit at_most;
end $$;
call offer('read_events(smallint, xid8, bigint, xid8, integer)', 'worker');

-- Makes the partitions of today and of the days ahead. Called at every start before the first write, and hourly.
create function make_event_partitions(days_ahead integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  day date;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.event_partitions'));
  for day in select d::date from generate_series((now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + days_ahead, interval '1 day') d loop
    if to_regclass(format('public.events_%s', to_char(day, 'YYYYMMDD'))) is null then
      -- Made apart and then attached: this waits for no writer and stops none, while "partition of" locks the whole log.
      execute format('create table public.%I (like public.events including all)', format('events_%s', to_char(day, 'YYYYMMDD')));
      execute format('alter table public.events attach partition public.%I for values from (%L) to (%L)',
        format('events_%s', to_char(day, 'YYYYMMDD')), day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
    end if;
  end loop;
end $$;
call offer('make_event_partitions(integer)', 'worker');
select make_event_partitions(7);

-- Where each subscription stands in each lane.
create table event_cursors (
  subscription text not null,
  lane smallint not null,
  tx xid8 not null,
  seq bigint not null,
  moved_at timestamptz(3) not null default now(),
  primary key (subscription, lane)
);

-- Events that a subscription could not digest. They wait here for an operator.
create table parked_events (
  subscription text not null,
  tx xid8 not null,
  seq bigint not null,
  lane smallint not null,
  tenant_id uuid not null,
  event_id uuid not null,
  name text not null,
  occurred_at timestamptz(3) not null,
  error text not null,
  attempts integer not null default 1,
  parked_at timestamptz(3) not null default now(),
  primary key (tenant_id, subscription, tx, seq)
);
alter table parked_events enable row level security;
-- The cluster whose transaction ids the log counts in: after a restore into another one they must be renumbered.
create table event_log_cluster (
  one boolean primary key default true check (one),
  system_identifier text not null,
  renumbered integer not null default 0
);
do $$ begin
  execute format('grant select, insert, update, delete on event_cursors to %I', role_named('worker'));
  execute format('create policy worker on parked_events to %I using (true) with check (true)', role_named('worker'));
  execute format('grant select, insert, update, delete on parked_events to %I', role_named('worker'));
end $$;

-- Drops the oldest day that every cursor and parked event is past and that is older than the days to keep; null when there
-- is none. One day a call, because detaching locks the whole log until the transaction ends; behind a long reader it gives
-- up until the next round, as all writers would queue up behind it.
create function drop_event_partition(keep_days integer) returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '2s' as $$
declare
  part record;
  held boolean;
begin
  perform pg_advisory_xact_lock(hashtext('clientforge.event_partitions'));
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
    if held then return null; end if;
    execute format('alter table public.events detach partition public.%I', part.relname);
    execute format('drop table public.%I', part.relname);
    return part.relname;
  end loop;
  return null;
end $$;
call offer('drop_event_partition(integer)', 'worker');

-- After a restore into another cluster transaction ids start low again, and old cursors would skip what is new: put the
-- old rows and cursors below every id that this cluster will give, keeping their order. The owner calls it at the start.
create function renumber_event_log() returns boolean
language plpgsql volatile set search_path = pg_catalog, public, pg_temp as $$
declare
  here text := (select system_identifier::text from pg_control_system());
  known text := (select system_identifier from event_log_cluster);
  -- Ids below any that a cluster gives to a transaction of ours, a fresh one each time so that no two rows meet.
  old_tx xid8 := (select (3 + renumbered % 500)::text::xid8 from event_log_cluster);
begin
  if known is null then
    insert into event_log_cluster (system_identifier) values (here) on conflict do nothing;
    return false;
  end if;
  if known = here then return false; end if;
  create temporary table renumbered on commit drop as
    select e.tx, e.seq, row_number() over (order by e.tx, e.seq) as place from events e;
  update event_cursors c set seq = coalesce((select max(r.place) from renumbered r where (r.tx, r.seq) <= (c.tx, c.seq)), 0), tx = old_tx;
  update parked_events p set seq = r.place, tx = old_tx from renumbered r where r.tx = p.tx and r.seq = p.seq;
  update events e set seq = r.place, tx = old_tx from renumbered r where r.tx = e.tx and r.seq = e.seq;
  perform setval('events_seq', greatest((select coalesce(max(place), 0) + 1 from renumbered), nextval('events_seq')));
  update event_log_cluster set system_identifier = here, renumbered = renumbered + 1;
  return true;
end $$;
revoke all on function renumber_event_log() from public;

-- Down Migration

drop function renumber_event_log(), drop_event_partition(integer), make_event_partitions(integer),
  read_events(smallint, xid8, bigint, xid8, integer);
drop table event_log_cluster, parked_events, event_cursors, events;
drop sequence events_seq;
