-- Up Migration

-- What a unit of a currency is worth in the tenant's, from a day until the next rate of that currency begins.
create table exchange_rates (
  tenant_id uuid not null references tenants,
  id uuid not null,
  currency text collate "C" not null,
  rate numeric(24, 12) not null check (rate > 0),
  valid_from date not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id)
);
-- Named by the member that a duplicate is told of.
create unique index exchange_rates_valid_from on exchange_rates (tenant_id, currency, valid_from) where deleted_at is null;
create unique index exchange_rates_external_id on exchange_rates (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index exchange_rates_created_at_sort on exchange_rates (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index exchange_rates_updated_at_sort on exchange_rates (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index exchange_rates_valid_from_sort on exchange_rates (tenant_id, valid_from, id) where deleted_at is null and archived_at is null;
create index exchange_rates_currency on exchange_rates (tenant_id, currency, created_at, id) where deleted_at is null and archived_at is null;
create index exchange_rates_created_by_id on exchange_rates (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('exchange_rates', 'select, insert, update', 'select, delete');

-- The tenant's own currency is worth itself.
create function exchange_rate_is_foreign() returns trigger language plpgsql as $$
begin
  if new.currency = (select t.currency from tenants t where t.id = new.tenant_id) then
    raise exception 'must be another currency than the tenant''s own' using errcode = 'CF400', column = 'currency';
  end if;
  return new;
end $$;
create trigger exchange_rate_is_foreign before insert on exchange_rates for each row execute function exchange_rate_is_foreign();

-- What a unit of a currency was worth in the tenant's on a day; null where no rate had begun.
create function exchange_rate_at(tenant uuid, wanted text, day date) returns numeric language sql stable parallel safe as $$
  select r.rate from exchange_rates r
  where r.tenant_id = tenant and r.currency = wanted and r.valid_from <= day and r.deleted_at is null
  order by r.valid_from desc limit 1
$$;

-- What somebody, a team or the whole tenant is to win in a month.
create table targets (
  tenant_id uuid not null references tenants,
  id uuid not null,
  period text collate "C" not null,
  user_id uuid,
  team_id uuid,
  -- Whose it is, in one column: two of the same are a duplicate whoever it is.
  subject_id uuid not null generated always as (coalesce(user_id, team_id, tenant_id)) stored,
  amount numeric(15, 4) not null,
  currency text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, user_id) references users on delete cascade,
  foreign key (tenant_id, team_id) references teams on delete cascade,
  check (num_nonnulls(user_id, team_id) <= 1)
);
create unique index targets_period on targets (tenant_id, subject_id, period) where deleted_at is null;
create unique index targets_external_id on targets (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index targets_created_at_sort on targets (tenant_id, created_at, id) where deleted_at is null and archived_at is null;
create index targets_updated_at_sort on targets (tenant_id, updated_at, id) where deleted_at is null and archived_at is null;
create index targets_period_sort on targets (tenant_id, period, id) where deleted_at is null and archived_at is null;
create index targets_of_period on targets (tenant_id, period, created_at, id) where deleted_at is null and archived_at is null;
create index targets_user_id on targets (tenant_id, user_id, created_at, id) where deleted_at is null and archived_at is null;
create index targets_team_id on targets (tenant_id, team_id, created_at, id) where deleted_at is null and archived_at is null;
create index targets_created_by_id on targets (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
call protect('targets', 'select, insert, update', 'select, delete');

-- Down Migration

drop table targets;
drop function exchange_rate_at(uuid, text, date);
drop table exchange_rates;
drop function exchange_rate_is_foreign();
