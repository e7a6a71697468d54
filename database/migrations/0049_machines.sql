-- Up Migration

-- Programs that act in a tenant: API keys, which never may more than who made them may now, and service accounts, which
-- belong to the tenant. A row stays when it is revoked: the timeline names it as an actor.
create table machines (
  tenant_id uuid not null references tenants,
  id uuid not null,
  kind text not null check (kind in ('api_key', 'service_account')),
  name text not null,
  scopes text[] not null,
  allowed_addresses text[] not null default '{}',
  created_by_id uuid not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3),
  last_used_at timestamptz(3),
  last_used_address text,
  revoked_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, created_by_id) references users on delete cascade
);
create index machines_live on machines (tenant_id, kind, id) where revoked_at is null;
call protect('machines', 'select, insert, update', 'select, delete');

-- What a machine shows to be let in. The prefix is public and names one secret in the whole house; of the secret only its
-- SHA-256 is kept: it is 256 bits of chance, which need no slow hash. While a rotation overlaps there are several.
create table machine_secrets (
  tenant_id uuid not null references tenants,
  machine_id uuid not null,
  prefix text not null,
  hash bytea not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3),
  primary key (tenant_id, machine_id, prefix),
  foreign key (tenant_id, machine_id) references machines on delete cascade
);
create unique index machine_secrets_prefix on machine_secrets (prefix);
call protect('machine_secrets', 'select, insert, update, delete', 'select, delete');

-- Whose a prefix is; the secret is checked in that tenant.
create function find_machine_secret(wanted text) returns table (tenant_id uuid, machine_id uuid, hash bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.tenant_id, s.machine_id, s.hash from machine_secrets s where s.prefix = wanted
$$;
call offer('find_machine_secret(text)', 'app');

-- Tables are brought and taken by machines too.
alter table imports drop constraint imports_tenant_id_created_by_id_fkey;
alter table exports drop constraint exports_tenant_id_created_by_id_fkey;

-- Down Migration

alter table imports add foreign key (tenant_id, created_by_id) references users not valid;
alter table exports add foreign key (tenant_id, created_by_id) references users not valid;
drop function find_machine_secret(text);
drop table machine_secrets, machines;
