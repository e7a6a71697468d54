-- Up Migration

-- Who may become a customer.
create table leads (
  tenant_id uuid not null references tenants,
  id uuid not null,
  first_name text collate "und-x-icu",
  last_name text collate "und-x-icu",
  email text collate "und-x-icu",
  phone text,
  company_name text collate "und-x-icu",
  name text collate "und-x-icu" not null generated always as (
    coalesce(nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''), company_name, email, '')) stored,
  job_title text collate "und-x-icu",
  source text,
  status text not null default 'new' check (status in ('new', 'contacted', 'qualified', 'unqualified', 'converted')),
  score integer,
  owner_id uuid,
  address jsonb,
  converted_at timestamptz(3),
  converted_contact_id uuid,
  converted_company_id uuid,
  converted_deal_id uuid,
  tags text[] not null default '{}',
  custom_fields jsonb not null default '{}',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, owner_id) references users on delete set null (owner_id)
);
alter table leads alter column status set statistics 1000;
create unique index leads_external_id on leads (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index leads_archived on leads (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index leads_created_at_sort on leads (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index leads_updated_at_sort on leads (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index leads_name_sort on leads (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index leads_first_name_sort on leads (tenant_id, first_name, id) where deleted_at is null and archived_at is null;
create index leads_last_name_sort on leads (tenant_id, last_name, id) where deleted_at is null and archived_at is null;
create index leads_email_sort on leads (tenant_id, email, id) where deleted_at is null and archived_at is null;
create index leads_company_name_sort on leads (tenant_id, company_name, id) where deleted_at is null and archived_at is null;
create index leads_score_sort on leads (tenant_id, score, id) where deleted_at is null and archived_at is null;
create index leads_converted_at_sort on leads (tenant_id, converted_at, id) where deleted_at is null and archived_at is null;
create index leads_name on leads (tenant_id, name, created_at, id) where deleted_at is null and archived_at is null;
create index leads_first_name on leads (tenant_id, first_name, created_at, id) where deleted_at is null and archived_at is null;
create index leads_last_name on leads (tenant_id, last_name, created_at, id) where deleted_at is null and archived_at is null;
create index leads_email on leads (tenant_id, email, created_at, id) where deleted_at is null and archived_at is null;
create index leads_phone on leads (tenant_id, phone, created_at, id) where deleted_at is null and archived_at is null;
create index leads_company_name on leads (tenant_id, company_name, created_at, id) where deleted_at is null and archived_at is null;
create index leads_job_title on leads (tenant_id, job_title, created_at, id) where deleted_at is null and archived_at is null;
create index leads_source on leads (tenant_id, source, created_at, id) where deleted_at is null and archived_at is null;
create index leads_status on leads (tenant_id, status, created_at, id) where deleted_at is null and archived_at is null;
create index leads_owner_id on leads (tenant_id, owner_id, created_at, id) where deleted_at is null and archived_at is null;
create index leads_created_by_id on leads (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
create index leads_converted_contact_id on leads (tenant_id, converted_contact_id, created_at, id) where deleted_at is null and archived_at is null and converted_contact_id is not null;
create index leads_converted_company_id on leads (tenant_id, converted_company_id, created_at, id) where deleted_at is null and archived_at is null and converted_company_id is not null;
create index leads_converted_deal_id on leads (tenant_id, converted_deal_id, created_at, id) where deleted_at is null and archived_at is null and converted_deal_id is not null;
call protect('leads', 'select, insert, update', 'select, delete', 'select');

-- A lead is converted by the verb alone, which says when; from then on it stays as it was: what it became is worked on.
-- That it is put away, brought back or given to nobody, as its owner is purged, is no work on it.
create function lead_stays_converted() returns trigger language plpgsql as $$
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
create trigger lead_stays_converted before insert or update on leads for each row
  when (new.status = 'converted') execute function lead_stays_converted();
create trigger lead_is_not_taken_back before update on leads for each row
  when (old.status = 'converted' and new.status <> 'converted') execute function lead_stays_converted();

-- A lead keeps one of the members of which a create asks for one.
create function lead_has_a_name() returns trigger language plpgsql as $$
begin
  raise exception 'one of lastName, email, companyName is required' using errcode = 'CF400', column = 'lastName';
end $$;
create trigger lead_has_a_name before update of last_name, email, company_name on leads for each row
  when (num_nonnulls(new.last_name, new.email, new.company_name) = 0) execute function lead_has_a_name();

-- By what a lead is found to be somebody whom the team knows: an address in lower case, and the last nine digits of a
-- number, which it keeps with and without its country's code. `lower()` of a query would lose its index under row-level security.
create function normal_phone(phone text) returns text language sql immutable parallel safe as $$
  select case when length(d.digits) >= 7 then right(d.digits, 9) end
  from (select regexp_replace(phone, '[^0-9]', '', 'g') as digits) d
$$;
alter table contacts
  add column email_normal text generated always as (lower(email)) stored,
  add column phone_normal text generated always as (normal_phone(phone)) stored;
create index contacts_email_normal on contacts (tenant_id, email_normal) where deleted_at is null and email_normal is not null;
create index contacts_phone_normal on contacts (tenant_id, phone_normal) where deleted_at is null and phone_normal is not null;
alter table companies
  add column name_normal text generated always as (lower(name)) stored,
  add column domain_normal text generated always as (regexp_replace(lower(domain), '^www\.', '')) stored;
create index companies_name_normal on companies (tenant_id, name_normal) where deleted_at is null;
create index companies_domain_normal on companies (tenant_id, domain_normal) where deleted_at is null and domain_normal is not null;

-- Down Migration

alter table companies drop column domain_normal, drop column name_normal;
alter table contacts drop column phone_normal, drop column email_normal;
drop function normal_phone(text);
drop table leads;
drop function lead_stays_converted(), lead_has_a_name();
