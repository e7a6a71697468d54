-- Up Migration

-- What was merged into what: a record of each merge, with all that is needed to take it back.
create table merges (
  tenant_id uuid not null references tenants,
  id uuid not null,
  record_type text collate "C" not null,
  survivor_id uuid not null,
  -- The records that are still merged by it; those that were given back are gone from here.
  from_ids uuid[] not null,
  payload jsonb not null,
  merged_by_id uuid,
  merged_at timestamptz(3) not null default now(),
  primary key (tenant_id, id)
);
create index merges_survivor on merges (tenant_id, record_type, survivor_id, merged_at, id);
call protect('merges', 'select, insert, update', 'select, delete');

-- The ids of merged records. They stand for the record at the end of the chain.
create table record_aliases (
  tenant_id uuid not null references tenants,
  record_type text collate "C" not null,
  id uuid not null,
  target_id uuid not null,
  external_id text,
  primary key (tenant_id, record_type, id)
);
create index record_aliases_target on record_aliases (tenant_id, record_type, target_id);
create index record_aliases_external_id on record_aliases (tenant_id, record_type, external_id) where external_id is not null;
call protect('record_aliases', 'select, insert, update, delete', 'select, delete');

-- Who refers to a record and who merges it exclude each other: a write that began before a merge had been committed sees
-- the record as it was, and would point at what is gone. The lock of an id is one of 256, so that a transaction holds few.
create function lock_reference(tenant uuid, id uuid) returns void language sql volatile as $$
  select pg_advisory_xact_lock_shared(hashtext('clientforge.merge ' || tenant), uuid_hash(id) & 255)
$$;
call offer('lock_reference(uuid, uuid)', 'app');

create function lock_merged(tenant uuid, ids uuid[]) returns void language plpgsql volatile as $$
declare lock integer;
begin
  for lock in select distinct uuid_hash(i) & 255 from unnest(ids) i order by 1 loop
    perform pg_advisory_xact_lock(hashtext('clientforge.merge ' || tenant), lock);
  end loop;
end $$;
call offer('lock_merged(uuid, uuid[])', 'app');

-- The record that a reference means. Volatile, so that it looks after it has the lock and not with the statement's older
-- snapshot.
create function resolve_alias(of_tenant uuid, of_type text, of_id uuid) returns uuid language plpgsql volatile as $$
begin
  if of_id is null then return null; end if;
  perform lock_reference(of_tenant, of_id);
  return coalesce(
    (select a.target_id from record_aliases a where a.tenant_id = of_tenant and a.record_type = of_type and a.id = of_id), of_id);
end $$;
call offer('resolve_alias(uuid, text, uuid)', 'app');

-- Each once, at its first place.
create function resolve_aliases(of_tenant uuid, of_type text, ids uuid[]) returns uuid[] language plpgsql volatile as $$
begin
  if ids is null or ids = '{}' then return ids; end if;
  perform lock_reference(of_tenant, i) from unnest(ids) i;
  if not exists (select from record_aliases a where a.tenant_id = of_tenant and a.record_type = of_type and a.id = any (ids)) then
    return ids;
  end if;
  return (
    select array_agg(r.id order by r.place) from (
      select coalesce(a.target_id, i.id) as id, min(i.place) as place
      from unnest(ids) with ordinality i(id, place)
      left join record_aliases a on a.tenant_id = of_tenant and a.record_type = of_type and a.id = i.id
      group by 1) r);
end $$;
call offer('resolve_aliases(uuid, text, uuid[])', 'app');

create function resolve_related(of_tenant uuid, items jsonb) returns jsonb language plpgsql volatile as $$
begin
  if items is null or items = '[]' then return items; end if;
  perform lock_reference(of_tenant, i.id) from jsonb_to_recordset(items) as i(id uuid);
  if not exists (
    select from jsonb_to_recordset(items) as i(type text, id uuid)
    join record_aliases a on a.tenant_id = of_tenant and a.record_type = i.type and a.id = i.id)
  then return items; end if;
  return (
    select jsonb_agg(jsonb_build_object('type', r.type, 'id', r.id) order by r.place) from (
      select i.item ->> 'type' as type, coalesce(a.target_id, (i.item ->> 'id')::uuid) as id, min(i.place) as place
      from jsonb_array_elements(items) with ordinality i(item, place)
      left join record_aliases a on a.tenant_id = of_tenant and a.record_type = i.item ->> 'type' and a.id = (i.item ->> 'id')::uuid
      group by 1, 2) r);
end $$;
call offer('resolve_related(uuid, jsonb)', 'app');

-- What refers to a merged record may be archived, which the indexes of the lists leave out.
create index contacts_company_id_archived on contacts (tenant_id, company_id) where deleted_at is null and archived_at is not null;
create index deals_company_id_archived on deals (tenant_id, company_id) where deleted_at is null and archived_at is not null;
create index companies_parent_id_archived on companies (tenant_id, parent_id) where deleted_at is null and archived_at is not null;

-- Down Migration

drop index companies_parent_id_archived, deals_company_id_archived, contacts_company_id_archived;
drop function resolve_related(uuid, jsonb), resolve_aliases(uuid, text, uuid[]), resolve_alias(uuid, text, uuid),
  lock_merged(uuid, uuid[]), lock_reference(uuid, uuid);
drop table record_aliases, merges;
