-- Up Migration

-- The nouns. Text that people sort by has an ICU collation; money is numeric with its units (×10⁴) beside it, because a
-- comparison of numeric is not leakproof and would lose its index under row-level security.

create table pipelines (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  is_default boolean not null default false,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index pipelines_name on pipelines (tenant_id, name) where deleted_at is null;
create unique index pipelines_default on pipelines (tenant_id) where is_default and deleted_at is null;
call protect('pipelines', 'select, insert, update', 'select, delete');

create table stages (
  tenant_id uuid not null references tenants,
  id uuid not null,
  pipeline_id uuid not null,
  name text collate "und-x-icu" not null,
  kind text not null check (kind in ('open', 'won', 'lost')),
  probability smallint not null check (probability between 0 and 100),
  position integer not null,
  rotting_days integer,
  primary key (tenant_id, id),
  foreign key (tenant_id, pipeline_id) references pipelines on delete cascade
);
create index stages_pipeline on stages (tenant_id, pipeline_id, position);
call protect('stages', 'select, insert, update, delete', 'select, delete');

create table companies (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  domain text,
  website text,
  industry text collate "und-x-icu",
  employees integer,
  annual_revenue numeric(15, 4),
  annual_revenue_units bigint generated always as ((annual_revenue * 10000)::bigint) stored,
  currency text,
  phone text,
  address jsonb,
  parent_id uuid,
  founded_year integer,
  owner_id uuid,
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
  foreign key (tenant_id, owner_id) references users on delete set null (owner_id),
  foreign key (tenant_id, parent_id) references companies on delete set null (parent_id)
);
create unique index companies_external_id on companies (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index companies_archived on companies (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index companies_created_at_sort on companies (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index companies_updated_at_sort on companies (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index companies_name_sort on companies (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index companies_industry_sort on companies (tenant_id, industry, id) where deleted_at is null and archived_at is null;
create index companies_employees_sort on companies (tenant_id, employees, id) where deleted_at is null and archived_at is null;
create index companies_annual_revenue_units_sort on companies (tenant_id, annual_revenue_units, id) where deleted_at is null and archived_at is null;
create index companies_founded_year_sort on companies (tenant_id, founded_year, id) where deleted_at is null and archived_at is null;
create index companies_name on companies (tenant_id, name, created_at, id) where deleted_at is null and archived_at is null;
create index companies_domain on companies (tenant_id, domain, created_at, id) where deleted_at is null and archived_at is null;
create index companies_industry on companies (tenant_id, industry, created_at, id) where deleted_at is null and archived_at is null;
create index companies_parent_id on companies (tenant_id, parent_id, created_at, id) where deleted_at is null and archived_at is null;
create index companies_owner_id on companies (tenant_id, owner_id, created_at, id) where deleted_at is null and archived_at is null;
create index companies_created_by_id on companies (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('companies', 'select, insert, update', 'select, delete', 'select');

create table contacts (
  tenant_id uuid not null references tenants,
  id uuid not null,
  first_name text collate "und-x-icu",
  last_name text collate "und-x-icu",
  email text collate "und-x-icu",
  name text collate "und-x-icu" not null generated always as (
    coalesce(nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), ''), email, '')) stored,
  emails text[] not null default '{}',
  phone text,
  phones text[] not null default '{}',
  company_id uuid,
  job_title text collate "und-x-icu",
  stage text not null default 'prospect' check (stage in ('prospect', 'contact', 'customer', 'former')),
  lead_score integer,
  owner_id uuid,
  source text,
  address jsonb,
  birthday date,
  timezone text,
  locale text,
  consent jsonb,
  do_not_contact boolean not null default false,
  last_contacted_at timestamptz(3),
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
  foreign key (tenant_id, owner_id) references users on delete set null (owner_id),
  foreign key (tenant_id, company_id) references companies on delete set null (company_id)
);
create unique index contacts_external_id on contacts (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index contacts_archived on contacts (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index contacts_created_at_sort on contacts (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_updated_at_sort on contacts (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index contacts_name_sort on contacts (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index contacts_first_name_sort on contacts (tenant_id, first_name, id) where deleted_at is null and archived_at is null;
create index contacts_last_name_sort on contacts (tenant_id, last_name, id) where deleted_at is null and archived_at is null;
create index contacts_email_sort on contacts (tenant_id, email, id) where deleted_at is null and archived_at is null;
create index contacts_lead_score_sort on contacts (tenant_id, lead_score, id) where deleted_at is null and archived_at is null;
create index contacts_last_contacted_at_sort on contacts (tenant_id, last_contacted_at, id) where deleted_at is null and archived_at is null;
create index contacts_birthday_sort on contacts (tenant_id, birthday, id) where deleted_at is null and archived_at is null;
create index contacts_name on contacts (tenant_id, name, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_first_name on contacts (tenant_id, first_name, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_last_name on contacts (tenant_id, last_name, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_email on contacts (tenant_id, email, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_phone on contacts (tenant_id, phone, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_company_id on contacts (tenant_id, company_id, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_job_title on contacts (tenant_id, job_title, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_stage on contacts (tenant_id, stage, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_owner_id on contacts (tenant_id, owner_id, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_source on contacts (tenant_id, source, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_do_not_contact on contacts (tenant_id, do_not_contact, created_at, id) where deleted_at is null and archived_at is null;
create index contacts_created_by_id on contacts (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('contacts', 'select, insert, update', 'select, delete', 'select');

create table deals (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  value numeric(15, 4),
  value_units bigint generated always as ((value * 10000)::bigint) stored,
  currency text,
  pipeline_id uuid not null,
  stage_id uuid not null,
  status text not null check (status in ('open', 'won', 'lost')),
  probability_set smallint check (probability_set between 0 and 100),
  expected_close_date date,
  closed_at timestamptz(3),
  lost_reason text,
  company_id uuid,
  contact_ids uuid[] not null default '{}',
  owner_id uuid,
  source text,
  position double precision,
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
  foreign key (tenant_id, owner_id) references users on delete set null (owner_id),
  foreign key (tenant_id, company_id) references companies on delete set null (company_id),
  foreign key (tenant_id, pipeline_id) references pipelines,
  foreign key (tenant_id, stage_id) references stages
);
create unique index deals_external_id on deals (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index deals_archived on deals (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index deals_created_at_sort on deals (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index deals_updated_at_sort on deals (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index deals_name_sort on deals (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index deals_value_units_sort on deals (tenant_id, value_units, id) where deleted_at is null and archived_at is null;
create index deals_expected_close_date_sort on deals (tenant_id, expected_close_date, id) where deleted_at is null and archived_at is null;
create index deals_closed_at_sort on deals (tenant_id, closed_at, id) where deleted_at is null and archived_at is null;
create index deals_name on deals (tenant_id, name, created_at, id) where deleted_at is null and archived_at is null;
create index deals_currency on deals (tenant_id, currency, created_at, id) where deleted_at is null and archived_at is null;
create index deals_pipeline_id on deals (tenant_id, pipeline_id, created_at, id) where deleted_at is null and archived_at is null;
create index deals_status on deals (tenant_id, status, created_at, id) where deleted_at is null and archived_at is null;
create index deals_company_id on deals (tenant_id, company_id, created_at, id) where deleted_at is null and archived_at is null;
create index deals_owner_id on deals (tenant_id, owner_id, created_at, id) where deleted_at is null and archived_at is null;
create index deals_source on deals (tenant_id, source, created_at, id) where deleted_at is null and archived_at is null;
create index deals_created_by_id on deals (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('deals', 'select, insert, update', 'select, delete', 'select');
create index deals_board on deals (tenant_id, stage_id, position, id) where deleted_at is null and archived_at is null;
create index deals_stage_id on deals (tenant_id, stage_id, created_at, id) where deleted_at is null and archived_at is null;

-- A deal's status is the kind of its stage, in whatever way it came there: this is the one place that says so.
-- Absent pipeline: the default one; absent stage: the pipeline's first open stage.
create function deal_follows_stage() returns trigger language plpgsql as $$
declare
  stage record;
begin
  if tg_op = 'INSERT' then
    if new.pipeline_id is null and new.stage_id is null then
      select p.id into new.pipeline_id from pipelines p where p.tenant_id = new.tenant_id and p.is_default and p.deleted_at is null;
    end if;
    if new.position is null then new.position := extract(epoch from new.created_at); end if;
  elsif new.pipeline_id is distinct from old.pipeline_id and new.stage_id is not distinct from old.stage_id then
    new.stage_id := null;
  end if;
  if new.stage_id is null then
    select s.id into new.stage_id from stages s
    where s.tenant_id = new.tenant_id and s.pipeline_id = new.pipeline_id and s.kind = 'open' order by s.position, s.id limit 1;
  elsif tg_op = 'UPDATE' and new.stage_id is distinct from old.stage_id and new.pipeline_id is not distinct from old.pipeline_id then
    new.pipeline_id := null;
  end if;
  select s.kind, s.pipeline_id into stage from stages s where s.tenant_id = new.tenant_id and s.id = new.stage_id;
  if not found then
    raise exception 'must be a stage of the pipeline' using errcode = 'CF400', column = case when new.pipeline_id is null then 'stageId' else 'pipelineId' end;
  end if;
  if new.pipeline_id is not null and new.pipeline_id <> stage.pipeline_id then
    raise exception 'must be a stage of the pipeline' using errcode = 'CF400', column = 'stageId';
  end if;
  new.pipeline_id := stage.pipeline_id;
  new.status := stage.kind;
  -- What a deal of this status cannot have is refused when it is sent, and falls away when the deal moves.
  if new.status = 'open' and new.closed_at is not null and (tg_op = 'INSERT' or new.closed_at is distinct from old.closed_at) then
    raise exception 'is of deals that are won or lost' using errcode = 'CF400', column = 'closedAt';
  end if;
  if new.status <> 'lost' and new.lost_reason is not null and (tg_op = 'INSERT' or new.lost_reason is distinct from old.lost_reason) then
    raise exception 'is of deals that are lost' using errcode = 'CF400', column = 'lostReason';
  end if;
  if new.status = 'open' then
    new.closed_at := null;
    new.lost_reason := null;
  else
    if new.closed_at is null or (tg_op = 'UPDATE' and old.status <> new.status and new.closed_at is not distinct from old.closed_at) then
      new.closed_at := now();
    end if;
    if new.status = 'won' then new.lost_reason := null; end if;
  end if;
  return new;
end $$;
create trigger deal_follows_stage before insert or update of stage_id, pipeline_id, closed_at, lost_reason on deals
  for each row execute function deal_follows_stage();

create table tasks (
  tenant_id uuid not null references tenants,
  id uuid not null,
  title text collate "und-x-icu" not null,
  description text,
  status text not null default 'open' check (status in ('open', 'in_progress', 'completed', 'cancelled')),
  priority text not null default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
  start_at timestamptz(3),
  due_at timestamptz(3),
  remind_at timestamptz(3),
  assignee_ids uuid[] not null default '{}',
  parent_id uuid,
  checklist jsonb not null default '[]',
  related jsonb not null default '[]',
  completed_at timestamptz(3),
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
  foreign key (tenant_id, parent_id) references tasks on delete set null (parent_id)
);
create unique index tasks_external_id on tasks (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index tasks_archived on tasks (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index tasks_created_at_sort on tasks (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index tasks_updated_at_sort on tasks (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index tasks_title_sort on tasks (tenant_id, title, id) where deleted_at is null and archived_at is null;
create index tasks_due_at_sort on tasks (tenant_id, due_at, id) where deleted_at is null and archived_at is null;
create index tasks_start_at_sort on tasks (tenant_id, start_at, id) where deleted_at is null and archived_at is null;
create index tasks_completed_at_sort on tasks (tenant_id, completed_at, id) where deleted_at is null and archived_at is null;
create index tasks_title on tasks (tenant_id, title, created_at, id) where deleted_at is null and archived_at is null;
create index tasks_status on tasks (tenant_id, status, created_at, id) where deleted_at is null and archived_at is null;
create index tasks_priority on tasks (tenant_id, priority, created_at, id) where deleted_at is null and archived_at is null;
create index tasks_parent_id on tasks (tenant_id, parent_id, created_at, id) where deleted_at is null and archived_at is null;
create index tasks_created_by_id on tasks (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('tasks', 'select, insert, update', 'select, delete', 'select');

-- When a task was completed follows from its status.
create function task_follows_status() returns trigger language plpgsql as $$
begin
  if new.status <> 'completed' then
    new.completed_at := null;
  elsif tg_op = 'INSERT' or old.status <> 'completed' then
    new.completed_at := now();
  end if;
  return new;
end $$;
create trigger task_follows_status before insert or update of status on tasks for each row execute function task_follows_status();

create table notes (
  tenant_id uuid not null references tenants,
  id uuid not null,
  body text not null,
  pinned boolean not null default false,
  related jsonb not null default '[]',
  tags text[] not null default '{}',
  custom_fields jsonb not null default '{}',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index notes_external_id on notes (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index notes_archived on notes (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index notes_created_at_sort on notes (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index notes_updated_at_sort on notes (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index notes_pinned on notes (tenant_id, pinned, created_at, id) where deleted_at is null and archived_at is null;
create index notes_created_by_id on notes (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('notes', 'select, insert, update', 'select, delete', 'select');

-- Narrow side tables of what a record has several of. Filters use them; the record's own column is the truth.
-- They hold live records only and carry created_at, so that a filter gives a page in its default order.
create table record_tags (
  tenant_id uuid not null references tenants,
  record_type text not null,
  tag text collate "C" not null,
  created_at timestamptz(3) not null,
  record_id uuid not null,
  primary key (tenant_id, record_type, tag, created_at, record_id)
);
create index record_tags_record on record_tags (tenant_id, record_id);
call protect('record_tags', 'select, insert, delete', 'select, delete');

create table record_links (
  tenant_id uuid not null references tenants,
  record_type text not null,
  member text not null,
  target_id uuid not null,
  created_at timestamptz(3) not null,
  record_id uuid not null,
  target_type text not null,
  primary key (tenant_id, record_type, member, target_id, created_at, record_id)
);
create index record_links_record on record_links (tenant_id, record_id);
call protect('record_links', 'select, insert, delete', 'select, delete');

create table tags (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  color text,
  description text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index tags_name on tags (tenant_id, name) where deleted_at is null;
create unique index tags_external_id on tags (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index tags_created_at_sort on tags (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index tags_updated_at_sort on tags (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index tags_name_sort on tags (tenant_id, name, id) where deleted_at is null and archived_at is null;
call protect('tags', 'select, insert, update', 'select, delete');

create table custom_fields (
  tenant_id uuid not null references tenants,
  id uuid not null,
  resource text not null,
  key text not null,
  label text collate "und-x-icu" not null,
  field_type text not null check (field_type in ('text', 'number', 'date', 'boolean', 'select', 'multiselect', 'url', 'email', 'phone', 'user')),
  required boolean not null default false,
  is_unique boolean not null default false,
  options jsonb not null default '[]',
  default_value jsonb,
  description text,
  position integer,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index custom_fields_key on custom_fields (tenant_id, resource, key) where deleted_at is null;
create unique index custom_fields_external_id on custom_fields (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index custom_fields_created_at_sort on custom_fields (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index custom_fields_updated_at_sort on custom_fields (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index custom_fields_resource on custom_fields (tenant_id, resource, created_at, id) where deleted_at is null and archived_at is null;
call protect('custom_fields', 'select, insert, update', 'select, delete');

create table custom_values (
  tenant_id uuid not null references tenants,
  field_id uuid not null,
  record_id uuid not null,
  place smallint not null,
  created_at timestamptz(3) not null,
  text_value text collate "C",
  number_value double precision,
  unique_value text collate "C",
  primary key (tenant_id, field_id, record_id, place),
  foreign key (tenant_id, field_id) references custom_fields on delete cascade
);
create unique index custom_values_unique on custom_values (tenant_id, field_id, unique_value) where unique_value is not null;
create index custom_values_text on custom_values (tenant_id, field_id, text_value, created_at, record_id);
create index custom_values_number on custom_values (tenant_id, field_id, number_value, created_at, record_id);
create index custom_values_record on custom_values (tenant_id, record_id);
call protect('custom_values', 'select, insert, update, delete', 'select, delete');

-- Down Migration

drop table custom_values, custom_fields, tags, record_links, record_tags, notes, tasks, deals, contacts, companies, stages, pipelines cascade;
drop function deal_follows_stage(), task_follows_status();
