-- Up Migration

-- What leaves the narrow side tables with a change is found by functions: each of their statements has a snapshot of its
-- own. The snapshot of the change is older than the row lock that it waited for, and would leave the side rows of whoever
-- was before it.
create function leave_tags(of_tenant uuid, record uuid, kept text[]) returns void language plpgsql volatile as $$
begin
  delete from record_tags t where t.tenant_id = of_tenant and t.record_id = record and t.tag <> all (kept);
end $$;
call offer('leave_tags(uuid, uuid, text[])', 'app');

create function leave_links(of_tenant uuid, record uuid, of_member text, kept uuid[]) returns void language plpgsql volatile as $$
begin
  delete from record_links l
  where l.tenant_id = of_tenant and l.record_id = record and l.member = of_member and l.target_id <> all (kept);
end $$;
call offer('leave_links(uuid, uuid, text, uuid[])', 'app');

create function leave_custom(of_tenant uuid, record uuid, fields uuid[], kept jsonb) returns void language plpgsql volatile as $$
begin
  delete from custom_values c
  where c.tenant_id = of_tenant and c.record_id = record and c.field_id = any (fields)
    and not exists (
      select from jsonb_to_recordset(kept) as w("fieldId" uuid, place smallint) where w."fieldId" = c.field_id and w.place = c.place);
end $$;
call offer('leave_custom(uuid, uuid, uuid[], jsonb)', 'app');

create function leave_sides(of_tenant uuid, record uuid) returns void language plpgsql volatile as $$
begin
  delete from record_tags s where s.tenant_id = of_tenant and s.record_id = record;
  delete from record_links s where s.tenant_id = of_tenant and s.record_id = record;
  delete from custom_values s where s.tenant_id = of_tenant and s.record_id = record;
end $$;
call offer('leave_sides(uuid, uuid)', 'app');

-- Who puts tags on records and who renames, folds or deletes them exclude each other, as references and merges do: a write
-- that began before would put a name on a record that is gone. The lock of a name is one of 256.
create function hold_tags(of_tenant uuid, names text[]) returns boolean language plpgsql volatile as $$
declare lock integer;
begin
  for lock in select distinct hashtext(n) & 255 from unnest(names) n order by 1 loop
    perform pg_advisory_xact_lock_shared(hashtext('clientforge.tags ' || of_tenant), lock);
  end loop;
  return true;
end $$;
call offer('hold_tags(uuid, text[])', 'app');

create function lock_tags(of_tenant uuid, names text[]) returns void language plpgsql volatile as $$
declare lock integer;
begin
  for lock in select distinct hashtext(n) & 255 from unnest(names) n order by 1 loop
    perform pg_advisory_xact_lock(hashtext('clientforge.tags ' || of_tenant), lock);
  end loop;
end $$;
call offer('lock_tags(uuid, text[])', 'app');

-- The names among these that no tag has, once nobody else is about to change it.
create function unknown_tags(of_tenant uuid, names text[]) returns text[] language plpgsql volatile as $$
begin
  if names = '{}' then return names; end if;
  perform hold_tags(of_tenant, names);
  return array(
    select n from unnest(names) n
    where not exists (select from tags t where t.tenant_id = of_tenant and t.name = n and t.deleted_at is null));
end $$;
call offer('unknown_tags(uuid, text[])', 'app');

-- A change that waited for another began before it: what came later is later.
create or replace function deal_stage_since() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.stage_entered_at := least(new.closed_at, now());
  elsif new.stage_id is distinct from old.stage_id then
    new.stage_entered_at := greatest(now(), old.stage_entered_at);
  else
    return new;
  end if;
  new.rots_at := (
    select new.stage_entered_at + make_interval(hours => 24 * s.rotting_days)
    from stages s where s.tenant_id = new.tenant_id and s.id = new.stage_id and s.kind = 'open');
  return new;
end $$;

-- What is there already, in the order of the versions: each stay begins where the one before it ends, and the last is open.
with ordered as (
  select h.tenant_id, h.deal_id, h.version,
    max(h.entered_at) over (partition by h.tenant_id, h.deal_id order by h.version) as entered_at
  from deal_stage_history h
), stays as (
  select o.*, lead(o.entered_at) over (partition by o.tenant_id, o.deal_id order by o.version) as left_at from ordered o
)
update deal_stage_history h set entered_at = s.entered_at, left_at = s.left_at
from stays s
where s.tenant_id = h.tenant_id and s.deal_id = h.deal_id and s.version = h.version
  and (h.entered_at <> s.entered_at or h.left_at is distinct from s.left_at);
create unique index deal_stage_history_open on deal_stage_history (tenant_id, deal_id) where left_at is null;

-- Down Migration

drop index deal_stage_history_open;
create or replace function deal_stage_since() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.stage_entered_at := least(new.closed_at, now());
  elsif new.stage_id is distinct from old.stage_id then
    new.stage_entered_at := now();
  else
    return new;
  end if;
  new.rots_at := (
    select new.stage_entered_at + make_interval(hours => 24 * s.rotting_days)
    from stages s where s.tenant_id = new.tenant_id and s.id = new.stage_id and s.kind = 'open');
  return new;
end $$;
drop function unknown_tags(uuid, text[]), lock_tags(uuid, text[]), hold_tags(uuid, text[]), leave_sides(uuid, uuid),
  leave_custom(uuid, uuid, uuid[], jsonb), leave_links(uuid, uuid, text, uuid[]), leave_tags(uuid, uuid, text[]);
