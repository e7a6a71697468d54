-- Up Migration

-- Roles that a tenant makes for itself: what they may do with which records, and which members they do not see or change.
create table roles (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  description text,
  permissions jsonb not null default '[]',
  field_rules jsonb not null default '[]',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
create unique index roles_name on roles (tenant_id, lower(name)) where deleted_at is null;
create unique index roles_external_id on roles (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index roles_created_at_sort on roles (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index roles_updated_at_sort on roles (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index roles_name_sort on roles (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index roles_created_by_id on roles (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('roles', 'select, insert, update', 'select, delete');

alter table users add role_id uuid, add foreign key (tenant_id, role_id) references roles on delete set null (role_id);
create index users_role_id on users (tenant_id, role_id, created_at, id) where deleted_at is null and archived_at is null;

-- Down Migration

alter table users drop column role_id;
drop table roles;
