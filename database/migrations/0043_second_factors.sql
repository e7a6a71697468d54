-- Up Migration

-- The second factor that was shown in the session: `totp`, `passkey` (which is both) or none.
alter table sessions add column second_factor text;

-- The second factor of an account: a seed of one-time codes, sealed (backend/kernel/secrets.ts), and codes for the day on
-- which the device is lost, as hashes. Of no tenant, like accounts.
create table account_totp (
  account_id uuid primary key references accounts on delete cascade,
  seed text not null,
  -- Null until a code of it was shown: then it counts.
  confirmed_at timestamptz(3),
  -- The last step of which a code was taken (RFC 6238): no code counts twice, nor one that is older.
  last_step bigint not null default 0,
  created_at timestamptz(3) not null default now()
);
create table account_recovery_codes (
  account_id uuid not null references account_totp on delete cascade,
  code_hash bytea not null,
  used_at timestamptz(3),
  primary key (account_id, code_hash)
);
-- Seeds are sealed anew when the key changes.
do $$ begin
  execute format('grant select, update on account_totp to %I', role_named('worker'));
end $$;

create function find_totp(account uuid) returns table (seed text, confirmed boolean, codes_left integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select t.seed, t.confirmed_at is not null,
    (select count(*)::integer from account_recovery_codes c where c.account_id = t.account_id and c.used_at is null)
  from account_totp t where t.account_id = account
$$;
call offer('find_totp(uuid)', 'app');

-- Keeps a seed until a code of it is shown. False when one is in force already.
create function propose_totp(account uuid, sealed text) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with proposed as (
    insert into account_totp as t (account_id, seed) values (account, sealed)
    on conflict (account_id) do update set seed = sealed, created_at = now() where t.confirmed_at is null
    returning 1)
  select exists (select 1 from proposed)
$$;
call offer('propose_totp(uuid, text)', 'app');

-- Puts a seed in force. False when another request did so, or another seed was proposed meanwhile.
create function confirm_totp(account uuid, sealed text, step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with confirmed as (
    update account_totp t set confirmed_at = now(), last_step = step
    where t.account_id = account and t.seed = sealed and t.confirmed_at is null returning 1)
  select exists (select 1 from confirmed)
$$;
call offer('confirm_totp(uuid, text, bigint)', 'app');

-- Uses a code up. False when it, or a later one, was taken before.
create function use_totp_step(account uuid, step bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_totp t set last_step = step
    where t.account_id = account and t.confirmed_at is not null and t.last_step < step returning 1)
  select exists (select 1 from used)
$$;
call offer('use_totp_step(uuid, bigint)', 'app');

create function use_recovery_code(account uuid, hash bytea) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_recovery_codes c set used_at = now()
    where c.account_id = account and c.code_hash = hash and c.used_at is null returning 1)
  select exists (select 1 from used)
$$;
call offer('use_recovery_code(uuid, bytea)', 'app');

-- New codes; the older ones are void.
create function set_recovery_codes(account uuid, hashes bytea[]) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from account_recovery_codes c where c.account_id = account;
  insert into account_recovery_codes (account_id, code_hash) select account, h from unnest(hashes) h;
$$;
call offer('set_recovery_codes(uuid, bytea[])', 'app');

-- Takes the second factor away; the sessions that showed it are of one factor from now on.
create function remove_totp(account uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from account_totp t where t.account_id = account;
  update sessions s set second_factor = null
  from users u
  where u.account_id = account and s.tenant_id = u.tenant_id and s.user_id = u.id and s.second_factor = 'totp' and s.ended_at is null;
$$;
call offer('remove_totp(uuid)', 'app');

-- Down Migration

drop function remove_totp(uuid), set_recovery_codes(uuid, bytea[]), use_recovery_code(uuid, bytea),
  use_totp_step(uuid, bigint), confirm_totp(uuid, text, bigint), propose_totp(uuid, text), find_totp(uuid);
drop table account_recovery_codes, account_totp;
alter table sessions drop column second_factor;
