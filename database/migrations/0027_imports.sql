-- Up Migration

-- What a name is found by: ignoring case, spaces and punctuation. A name of nothing else is found as it is.
create function name_key(name text) returns text language sql immutable parallel safe strict as $$
  select coalesce(nullif(lower(regexp_replace(name, '[^[:alnum:]]+', '', 'g')), ''), lower(name))
$$;

-- Normal forms in columns of their own, as an index on an expression is lost under row-level security.
alter table companies add column name_key text generated always as (name_key(name)) stored;
alter table products add column name_key text generated always as (name_key(name)) stored;
alter table contacts add column email_key text generated always as (lower(email)) stored;
create index companies_name_key on companies (tenant_id, name_key, created_at, id) where deleted_at is null;
create index products_name_key on products (tenant_id, name_key, created_at, id) where deleted_at is null;
create index contacts_email_key on contacts (tenant_id, email_key, created_at, id) where deleted_at is null and email_key is not null;

-- Members that came with a table: without an account until they are invited, and perhaps without an email.
alter table users alter column account_id drop not null, alter column email drop not null;
create unique index users_email_key on users (tenant_id, lower(email)) where deleted_at is null;

create table imports (
  tenant_id uuid not null references tenants,
  id uuid not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  created_by_id uuid not null,
  completed_at timestamptz(3),
  status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'undoing', 'undone')),
  resource text not null,
  -- What was asked for, and what was recognised: mapping, encoding, separator, order of dates.
  options jsonb not null,
  reading jsonb,
  file jsonb,
  -- How far it is: rows that are done, then links between its own records that are resolved.
  phase text not null default 'rows' check (phase in ('rows', 'links')),
  position integer not null default 0,
  effects integer not null default 0,
  total integer,
  processed integer not null default 0,
  created integer not null default 0,
  updated integer not null default 0,
  skipped integer not null default 0,
  failed integer not null default 0,
  -- Records by type that were made because a row named them.
  made jsonb not null default '{}',
  preview jsonb,
  failure text,
  undo jsonb,
  operation_id uuid not null,
  request_id text not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, created_by_id) references users
);
create index imports_created_at on imports (tenant_id, created_at, id);
create index imports_created_by on imports (tenant_id, created_by_id, created_at, id);
create index imports_old on imports (created_at) where file is not null;
call protect('imports', 'select, insert, update', 'select, update, delete');

-- What an import did to a record: how it left it, and what of it was before (null: it made the record).
create table import_effects (
  tenant_id uuid not null,
  import_id uuid not null,
  record_id uuid not null,
  place integer not null,
  record_type text not null,
  version integer not null,
  before jsonb,
  -- After an undo: why it was left as it is.
  refused text,
  primary key (tenant_id, import_id, record_id),
  foreign key (tenant_id, import_id) references imports on delete cascade
);
create index import_effects_place on import_effects (tenant_id, import_id, place);
call protect('import_effects', 'select, insert, update, delete', 'select, delete');

-- Links to records that may stand further down in the table: resolved after its last row.
create table import_links (
  tenant_id uuid not null,
  import_id uuid not null,
  line integer not null,
  member text not null,
  record_id uuid not null,
  by text not null,
  value text not null,
  column_name text not null,
  primary key (tenant_id, import_id, line, member),
  foreign key (tenant_id, import_id) references imports on delete cascade
);
call protect('import_links', 'select, insert, delete', 'select, delete');

create table import_errors (
  tenant_id uuid not null,
  import_id uuid not null,
  line integer not null,
  place smallint not null,
  column_name text not null,
  value text not null,
  reason text not null,
  primary key (tenant_id, import_id, line, place),
  foreign key (tenant_id, import_id) references imports on delete cascade
);
call protect('import_errors', 'select, insert, delete', 'select, delete');

-- Down Migration

drop table import_errors;
drop table import_links;
drop table import_effects;
drop table imports;
drop index users_email_key;
alter table users alter column account_id set not null, alter column email set not null;
alter table contacts drop column email_key;
alter table products drop column name_key;
alter table companies drop column name_key;
drop function name_key(text);
