-- Up Migration

-- What gives points to a contact or a lead. The value is what the field's kind says, normalised when it was written.
create table scoring_rules (
  tenant_id uuid not null references tenants,
  id uuid not null,
  resource text collate "C" not null,
  name text collate "und-x-icu" not null,
  field text collate "C" not null,
  operator text collate "C" not null,
  value jsonb,
  points integer not null check (points between -100 and 100),
  active boolean not null default true,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index scoring_rules_external_id on scoring_rules (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index scoring_rules_created_at_sort on scoring_rules (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index scoring_rules_updated_at_sort on scoring_rules (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index scoring_rules_name_sort on scoring_rules (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index scoring_rules_resource on scoring_rules (tenant_id, resource, created_at, id) where deleted_at is null and archived_at is null;
create index scoring_rules_active on scoring_rules (tenant_id, active, created_at, id) where deleted_at is null and archived_at is null;
create index scoring_rules_created_by_id on scoring_rules (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('scoring_rules', 'select, insert, update', 'select, delete');

-- Down Migration

drop table scoring_rules;
