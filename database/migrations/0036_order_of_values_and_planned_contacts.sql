-- Up Migration

-- A list that runs by a text of the tenant's own, its ties by id. Of several values of a record the first counts. Numbers and
-- dates have theirs since 0007.
create index custom_values_text_order on custom_values (tenant_id, field_id, text_value collate "und-x-icu", record_id)
  where place = 0;

-- What is planned is no contact yet: such an interaction is ahead, until a schedule finds that its time has come.
alter table interaction_contacts add column ahead boolean not null default false;
create index interaction_contacts_ahead on interaction_contacts (occurred_at) where ahead;
do $$ begin execute format('grant update (ahead) on interaction_contacts to %I', role_named('app')); end $$;
create or replace function interaction_keeps_contacts() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    delete from interaction_contacts k where k.tenant_id = new.tenant_id and k.interaction_id = new.id;
  end if;
  if new.deleted_at is null then
    insert into interaction_contacts (tenant_id, contact_id, occurred_at, interaction_id, ahead)
    select new.tenant_id, (r ->> 'id')::uuid, new.occurred_at, new.id, new.occurred_at > now()::timestamptz(3)
    from jsonb_array_elements(case
      when jsonb_path_exists(new.participants, '$[*] ? (@.type == "contact")') then new.participants else new.related end) r
    where r ->> 'type' = 'contact'
    on conflict do nothing;
  end if;
  return null;
end $$;
update interaction_contacts set ahead = true where occurred_at > now();
-- Silently: nobody was in contact, whatever an event said.
update contacts c set last_contacted_at = (
  select max(k.occurred_at) from interaction_contacts k where k.tenant_id = c.tenant_id and k.contact_id = c.id and not k.ahead)
where c.last_contacted_at > now();

-- A tag or a value of a pick list that is called otherwise is no work on the lead (backend/kernel/entity/renaming.ts).
create or replace function lead_stays_converted() returns trigger language plpgsql as $$
declare
  aside text[] := array['name', 'version', 'updated_at', 'deleted_at', 'archived_at', 'owner_id',
    'converted_contact_id', 'converted_company_id', 'converted_deal_id'];
begin
  if tg_op = 'UPDATE' and current_setting('app.renaming', true) = 'on' and old.status = new.status then return new; end if;
  if tg_op = 'UPDATE' and old.status = 'converted' then
    if to_jsonb(new) - aside <> to_jsonb(old) - aside or (new.owner_id is distinct from old.owner_id and new.owner_id is not null) then
      raise exception 'The lead is converted and stays as it was; work on what it became' using errcode = 'CF422', column = 'INVALID_TRANSITION';
    end if;
  elsif new.status = 'converted' and new.converted_at is null then
    raise exception 'A lead is converted by POST /leads/{id}/convert' using errcode = 'CF422', column = 'INVALID_TRANSITION';
  end if;
  return new;
end $$;

-- Down Migration

create or replace function lead_stays_converted() returns trigger language plpgsql as $$
declare
  aside text[] := array['name', 'version', 'updated_at', 'deleted_at', 'archived_at', 'owner_id',
    'converted_contact_id', 'converted_company_id', 'converted_deal_id'];
begin
  if tg_op = 'UPDATE' and old.status = 'converted' then
    if to_jsonb(new) - aside <> to_jsonb(old) - aside or (new.owner_id is distinct from old.owner_id and new.owner_id is not null) then
      raise exception 'The lead is converted and stays as it was; work on what it became' using errcode = 'CF422', column = 'INVALID_TRANSITION';
    end if;
  elsif new.status = 'converted' and new.converted_at is null then
    raise exception 'A lead is converted by POST /leads/{id}/convert' using errcode = 'CF422', column = 'INVALID_TRANSITION';
  end if;
  return new;
end $$;

create or replace function interaction_keeps_contacts() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    delete from interaction_contacts k where k.tenant_id = new.tenant_id and k.interaction_id = new.id;
  end if;
  if new.deleted_at is null then
    insert into interaction_contacts (tenant_id, contact_id, occurred_at, interaction_id)
    select new.tenant_id, (r ->> 'id')::uuid, new.occurred_at, new.id
    from jsonb_array_elements(case
      when jsonb_path_exists(new.participants, '$[*] ? (@.type == "contact")') then new.participants else new.related end) r
    where r ->> 'type' = 'contact'
    on conflict do nothing;
  end if;
  return null;
end $$;
do $$ begin execute format('revoke update (ahead) on interaction_contacts from %I', role_named('app')); end $$;
drop index interaction_contacts_ahead, custom_values_text_order;
alter table interaction_contacts drop column ahead;
