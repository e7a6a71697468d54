-- Up Migration

-- The pick lists of a tenant, one row a list with its items: `[{id, value, label, labels, order, color, active}]`.
create table lookups (
  tenant_id uuid not null references tenants,
  id uuid not null,
  list text collate "C" not null,
  label text collate "und-x-icu" not null,
  restricted boolean not null default false,
  items jsonb not null default '[]',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index lookups_list on lookups (tenant_id, list) where deleted_at is null;
call protect('lookups', 'select, insert, update', 'select, delete');

-- A UUIDv7: 48 bits of milliseconds, then version, variant and chance.
create function new_uuid() returns uuid language sql volatile as $$
  select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- What every tenant begins with, in whatever way it is made.
create function seed_lookups() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into lookups (tenant_id, id, list, label, items, created_at, updated_at)
  select new.id, new_uuid(), d.list, d.label, (
    select jsonb_agg(jsonb_build_object('id', new_uuid(), 'value', split_part(i.item, '=', 1), 'label', split_part(i.item, '=', 2),
      'labels', '{}'::jsonb, 'order', i.place, 'color', null, 'active', true) order by i.place)
    from unnest(d.items) with ordinality i(item, place)), now(), now()
  from (values
    ('source', 'Source', array['referral=Referral', 'website=Website', 'advertisement=Advertisement', 'cold-call=Cold call',
      'email-campaign=Email campaign', 'event=Event', 'partner=Partner', 'social-media=Social media', 'other=Other']),
    ('industry', 'Industry', array['agriculture=Agriculture', 'construction=Construction', 'consulting=Consulting',
      'education=Education', 'energy=Energy', 'finance=Finance and insurance', 'government=Government', 'healthcare=Healthcare',
      'hospitality=Hospitality', 'manufacturing=Manufacturing', 'media=Media and entertainment', 'nonprofit=Nonprofit',
      'real-estate=Real estate', 'retail=Retail', 'technology=Technology', 'telecommunications=Telecommunications',
      'transportation=Transportation and logistics', 'other=Other']),
    ('lost-reason', 'Lost reason', array['price=Price', 'competitor=Competitor', 'budget=No budget', 'decision=No decision',
      'timing=Timing', 'features=Missing features', 'unresponsive=No answer', 'other=Other']),
    ('job-title', 'Job title', array['chief-executive=Chief executive', 'chief-financial=Chief financial officer',
      'chief-technology=Chief technology officer', 'founder=Founder', 'director=Director', 'head-of-sales=Head of sales',
      'manager=Manager', 'buyer=Buyer', 'engineer=Engineer', 'consultant=Consultant', 'assistant=Assistant', 'other=Other'])
  ) d(list, label, items)
  on conflict do nothing;
  return null;
end $$;
revoke all on function seed_lookups() from public;
create trigger seed_lookups after insert on tenants for each row execute function seed_lookups();

-- A restricted list is all that its member may hold. Only what is new is asked: a record keeps what it has.
create function value_of_list() returns trigger language plpgsql as $$
declare
  sent text := to_jsonb(new) ->> tg_argv[1];
begin
  if exists (
    select 1 from lookups l where l.tenant_id = new.tenant_id and l.list = tg_argv[0] and l.deleted_at is null and l.restricted
      and not exists (select 1 from jsonb_array_elements(l.items) i where i ->> 'value' = sent and (i ->> 'active')::boolean))
  then
    raise exception 'must be an active value of the pick list %', tg_argv[0] using errcode = 'CF400', column = tg_argv[2];
  end if;
  return new;
end $$;

-- Lets a column of records take its values from a pick list, under the name that the API gives it.
create procedure listed(target regclass, member_column name, list text, member text) language plpgsql as $$
begin
  execute format('create trigger %I after insert on %s for each row when (new.%I is not null) execute function value_of_list(%L, %L, %L)',
    'listed_' || member_column || '_new', target, member_column, list, member_column, member);
  execute format('create trigger %I after update of %I on %s for each row
    when (new.%I is not null and new.%I is distinct from old.%I) execute function value_of_list(%L, %L, %L)',
    'listed_' || member_column, member_column, target, member_column, member_column, member_column, list, member_column, member);
end $$;
do $$
declare held record;
begin
  for held in
    select to_regclass(h.name) as target, h.member_column, h.list, h.member
    from (values
      ('contacts', 'source', 'source', 'source'), ('contacts', 'job_title', 'job-title', 'jobTitle'), ('companies', 'industry', 'industry', 'industry'),
      ('deals', 'source', 'source', 'source'), ('deals', 'lost_reason', 'lost-reason', 'lostReason'),
      ('leads', 'source', 'source', 'source'), ('leads', 'job_title', 'job-title', 'jobTitle'), ('leads', 'industry', 'industry', 'industry')
    ) h(name, member_column, list, member)
  loop
    if exists (select 1 from pg_attribute a where a.attrelid = held.target and a.attname = held.member_column and not a.attisdropped) then
      call listed(held.target, held.member_column, held.list, held.member);
    end if;
  end loop;
end $$;

-- Whether a reason is given anywhere, for the list's sake: those that can stand in a list are short.
create index deals_lost_reason on deals (tenant_id, lost_reason) where deleted_at is null and length(lost_reason) <= 100;

-- The tenants that are there already.
create trigger seed_lookups_now after update on tenants for each row execute function seed_lookups();
update tenants set version = version;
drop trigger seed_lookups_now on tenants;

-- Down Migration

drop index deals_lost_reason;
drop procedure listed(regclass, name, text, text);
drop trigger seed_lookups on tenants;
drop function seed_lookups(), value_of_list() cascade;
drop function new_uuid();
drop table lookups;
