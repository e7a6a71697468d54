-- Up Migration

-- What is sold, and what was said to whom.

create table products (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  sku text collate "und-x-icu",
  description text,
  price numeric(15, 4),
  price_units bigint generated always as ((price * 10000)::bigint) stored,
  currency text,
  active boolean not null default true,
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
create unique index products_external_id on products (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index products_archived on products (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index products_created_at_sort on products (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index products_updated_at_sort on products (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index products_name_sort on products (tenant_id, name, id) where deleted_at is null and archived_at is null;
create index products_sku_sort on products (tenant_id, sku, id) where deleted_at is null and archived_at is null;
create index products_price_units_sort on products (tenant_id, price_units, id) where deleted_at is null and archived_at is null;
create index products_name on products (tenant_id, name, created_at, id) where deleted_at is null and archived_at is null;
create index products_sku on products (tenant_id, sku, created_at, id) where deleted_at is null and archived_at is null;
create index products_currency on products (tenant_id, currency, created_at, id) where deleted_at is null and archived_at is null;
create index products_active on products (tenant_id, active, created_at, id) where deleted_at is null and archived_at is null;
create index products_created_by_id on products (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('products', 'select, insert, update', 'select, delete', 'select');

create table interactions (
  tenant_id uuid not null references tenants,
  id uuid not null,
  type text not null check (type in ('call', 'meeting', 'email', 'sms', 'whatsapp', 'other')),
  direction text check (direction in ('inbound', 'outbound')),
  subject text collate "und-x-icu",
  body text,
  occurred_at timestamptz(3) not null default now(),
  duration_minutes integer,
  participants jsonb not null default '[]',
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
create unique index interactions_external_id on interactions (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index interactions_archived on interactions (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index interactions_created_at_sort on interactions (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index interactions_updated_at_sort on interactions (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index interactions_occurred_at_sort on interactions (tenant_id, occurred_at, id) where deleted_at is null and archived_at is null;
create index interactions_duration_minutes_sort on interactions (tenant_id, duration_minutes, id) where deleted_at is null and archived_at is null;
create index interactions_subject_sort on interactions (tenant_id, subject, id) where deleted_at is null and archived_at is null;
create index interactions_type on interactions (tenant_id, type, created_at, id) where deleted_at is null and archived_at is null;
create index interactions_direction on interactions (tenant_id, direction, created_at, id) where deleted_at is null and archived_at is null;
create index interactions_subject on interactions (tenant_id, subject, created_at, id) where deleted_at is null and archived_at is null;
create index interactions_created_by_id on interactions (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('interactions', 'select, insert, update', 'select, delete', 'select');

-- Which contacts took part in what, and when: their last contact is the end of an index, however much was said to them.
-- It holds live interactions only.
create table interaction_contacts (
  tenant_id uuid not null references tenants,
  contact_id uuid not null,
  occurred_at timestamptz(3) not null,
  interaction_id uuid not null,
  primary key (tenant_id, contact_id, occurred_at, interaction_id),
  foreign key (tenant_id, interaction_id) references interactions on delete cascade
);
create index interaction_contacts_interaction on interaction_contacts (tenant_id, interaction_id);
call protect('interaction_contacts', 'select, insert, delete', 'select, delete');

-- Who took part: the contacts among the participants; when there are none, those that it is about. This is the one place
-- that says so, in whatever way the interaction came, changed or went.
create function interaction_keeps_contacts() returns trigger language plpgsql as $$
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
create trigger interaction_keeps_contacts after insert or update of participants, related, occurred_at, deleted_at on interactions
  for each row execute function interaction_keeps_contacts();

-- Down Migration

drop table interaction_contacts, interactions, products;
drop function interaction_keeps_contacts();
