-- Up Migration

-- Public keys with which an account signs in (WebAuthn). Of no tenant, like accounts.
create table account_passkeys (
  id uuid primary key,
  account_id uuid not null references accounts on delete cascade,
  credential_id text not null unique,
  public_key bytea not null,
  counter bigint not null,
  transports text[] not null,
  backed_up boolean not null,
  name text not null,
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3)
);
create index account_passkeys_of_account on account_passkeys (account_id);

-- What a passkey was asked to sign, as a hash; each is good once, for some minutes.
create table passkey_challenges (
  challenge_hash bytea primary key,
  -- Null at sign-in, where nobody is known yet.
  account_id uuid references accounts on delete cascade,
  expires_at timestamptz(3) not null
);
create index passkey_challenges_of_account on passkey_challenges (account_id);
create index passkey_challenges_expires_at on passkey_challenges (expires_at);
do $$ begin
  execute format('grant select, delete on passkey_challenges to %I', role_named('worker'));
end $$;

create function keep_challenge(hash bytea, account uuid, seconds integer) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into passkey_challenges (challenge_hash, account_id, expires_at)
  values (hash, account, now() + make_interval(secs => seconds))
$$;
call offer('keep_challenge(bytea, uuid, integer)', 'app');

-- Uses a challenge up. False when it was never given to this account, was used, or has expired.
create function use_challenge(hash bytea, account uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    delete from passkey_challenges c
    where c.challenge_hash = hash and c.account_id is not distinct from account returning c.expires_at)
  select exists (select 1 from used where used.expires_at > now())
$$;
call offer('use_challenge(bytea, uuid)', 'app');

-- The passkeys of an account, at most as many as one may have.
create function passkeys_of(account uuid)
returns table (id uuid, credential_id text, transports text[], name text, backed_up boolean, created_at timestamptz, last_used_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.credential_id, p.transports, p.name, p.backed_up, p.created_at, p.last_used_at
  from account_passkeys p where p.account_id = account order by p.id limit 20
$$;
call offer('passkeys_of(uuid)', 'app');

-- False when it is known already, of whomever, or when the account has twenty.
create function add_passkey(new_id uuid, account uuid, credential text, key bytea, counted bigint, ways text[], is_backed_up boolean, called text)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform 1 from accounts a where a.id = account for no key update;
  if (select count(*) from account_passkeys p where p.account_id = account) >= 20 then return false; end if;
  insert into account_passkeys (id, account_id, credential_id, public_key, counter, transports, backed_up, name)
  values (new_id, account, credential, key, counted, ways, is_backed_up, called) on conflict (credential_id) do nothing;
  return found;
end $$;
call offer('add_passkey(uuid, uuid, text, bytea, bigint, text[], boolean, text)', 'app');

create function find_passkey(credential text)
returns table (id uuid, account_id uuid, public_key bytea, counter bigint, transports text[])
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.account_id, p.public_key, p.counter, p.transports from account_passkeys p where p.credential_id = credential
$$;
call offer('find_passkey(text)', 'app');

-- Notes a use. False when another use counted further meanwhile: then there are two of it (WebAuthn section 6.1.1). A
-- passkey that is kept in a cloud does not count: it says 0 for ever.
create function use_passkey(passkey uuid, counted bigint) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with used as (
    update account_passkeys p set counter = counted, last_used_at = now()
    where p.id = passkey and (p.counter < counted or (p.counter = 0 and counted = 0)) returning 1)
  select exists (select 1 from used)
$$;
call offer('use_passkey(uuid, bigint)', 'app');

create function remove_passkey(account uuid, passkey uuid) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with removed as (delete from account_passkeys p where p.account_id = account and p.id = passkey returning 1)
  select exists (select 1 from removed)
$$;
call offer('remove_passkey(uuid, uuid)', 'app');

-- Which second factors an account has.
create function factors_of(account uuid) returns table (totp boolean, codes_left integer, passkeys integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select exists (select from account_totp t where t.account_id = account and t.confirmed_at is not null),
    (select count(*)::integer from account_recovery_codes c where c.account_id = account and c.used_at is null),
    (select count(*)::integer from account_passkeys p where p.account_id = account)
$$;
call offer('factors_of(uuid)', 'app');

-- Down Migration

drop function factors_of(uuid), remove_passkey(uuid, uuid), use_passkey(uuid, bigint), find_passkey(text),
  add_passkey(uuid, uuid, text, bytea, bigint, text[], boolean, text), passkeys_of(uuid),
  use_challenge(bytea, uuid), keep_challenge(bytea, uuid, integer);
drop table passkey_challenges, account_passkeys;
