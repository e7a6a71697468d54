-- Up Migration

-- Wrong codes of a second factor in a row: whoever tries them has the password.
alter table account_totp add column wrong_codes integer not null default 0;

-- Counts a try before it is known how it ends, so that many at once are counted like one after the other. Gives how many
-- there have been in a row with this one.
create function begin_code(account uuid) returns integer
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update account_totp t set wrong_codes = t.wrong_codes + 1
  where t.account_id = account and t.confirmed_at is not null returning t.wrong_codes
$$;
call offer('begin_code(uuid)', 'app');

create or replace function use_totp_step(account uuid, step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_totp t set last_step = step, wrong_codes = 0
    where t.account_id = account and t.confirmed_at is not null and t.last_step < step returning 1)
  select exists (select 1 from used)
$$;

create or replace function use_recovery_code(account uuid, hash bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_recovery_codes c set used_at = now()
    where c.account_id = account and c.code_hash = hash and c.used_at is null returning 1
  ), right_one as (
    update account_totp t set wrong_codes = 0 where t.account_id = account and exists (select from used))
  select exists (select 1 from used)
$$;

-- Sets the password of an account; links that would have reset the old one are void, and who tried codes with it is outside.
create or replace function set_account_password(account uuid, hash text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update account_tokens t set used_at = now()
  where t.account_id = account and t.purpose = 'reset_password' and t.used_at is null;
  update account_totp t set wrong_codes = 0 where t.account_id = account and t.wrong_codes > 0;
  update accounts a set password_hash = hash where a.id = account;
$$;

-- Down Migration

create or replace function set_account_password(account uuid, hash text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update account_tokens t set used_at = now()
  where t.account_id = account and t.purpose = 'reset_password' and t.used_at is null;
  update accounts a set password_hash = hash where a.id = account;
$$;
create or replace function use_recovery_code(account uuid, hash bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_recovery_codes c set used_at = now()
    where c.account_id = account and c.code_hash = hash and c.used_at is null returning 1)
  select exists (select 1 from used)
$$;
create or replace function use_totp_step(account uuid, step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_totp t set last_step = step
    where t.account_id = account and t.confirmed_at is not null and t.last_step < step returning 1)
  select exists (select 1 from used)
$$;
drop function begin_code(uuid);
alter table account_totp drop column wrong_codes;
