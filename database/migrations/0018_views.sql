-- Up Migration

-- Saved views of lists: filters, sort and columns under a name, private to their owner or shared with the tenant.
create table views (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  resource text collate "C" not null,
  filters jsonb not null default '{}',
  sort text,
  columns jsonb not null default '[]',
  shared text collate "C" not null default 'private' check (shared in ('private', 'shared')),
  is_default boolean not null default false,
  owner_id uuid,
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
create index views_own on views (tenant_id, owner_id, name, id) where deleted_at is null and shared = 'private';
create index views_shared on views (tenant_id, name, id) where deleted_at is null and shared = 'shared';
create unique index views_external_id on views (tenant_id, external_id) where deleted_at is null and external_id is not null;
-- One default for each resource: of each owner among his private views, and of the tenant among the shared ones.
create unique index views_default_own on views (tenant_id, resource, owner_id) where deleted_at is null and is_default and shared = 'private';
create unique index views_default_shared on views (tenant_id, resource) where deleted_at is null and is_default and shared = 'shared';
call protect('views', 'select, insert, update', 'select, delete');

-- Down Migration

drop table views;
