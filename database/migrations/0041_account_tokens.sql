-- Up Migration

alter table accounts add column email_verified_at timestamptz(3);

-- What a link in a mail proves, once and for a while. The token follows from the id and a secret of the configuration; only
-- its hash stands here. Like accounts it is of no tenant, and only the functions below reach it.
create table account_tokens (
  id uuid primary key,
  account_id uuid not null references accounts on delete cascade,
  purpose text not null check (purpose in ('verify_email', 'reset_password')),
  email text not null,
  token_hash bytea not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  used_at timestamptz(3)
);
create index account_tokens_of_account on account_tokens (account_id, purpose, created_at);
create index account_tokens_expires_at on account_tokens (expires_at);
do $$ begin
  execute format('grant select, delete on account_tokens to %I', role_named('worker'));
end $$;

-- The account behind a member of the statement's tenant.
create function account_of(member uuid)
returns table (id uuid, name text, email text, password_hash text, email_verified_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, u.name, a.email, a.password_hash, a.email_verified_at
  from users u join accounts a on a.id = u.account_id
  where u.tenant_id = current_tenant() and u.id = member and u.deleted_at is null
$$;
call offer('account_of(uuid)', 'app');

-- Makes a token to the address of an account, and the older ones for the same void. False when there is no such account,
-- or when it has been sent five within the hour: nobody fills the letter box of another.
create function issue_account_token(new_id uuid, account uuid, wanted text, hash bytea, seconds integer) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  address text;
begin
  -- Two at once take turns, so that only one token is good.
  select a.email into address from accounts a where a.id = account for no key update;
  if address is null then return false; end if;
  if (select count(*) from account_tokens t
      where t.account_id = account and t.purpose = wanted and t.created_at > now() - interval '1 hour') >= 5 then
    return false;
  end if;
  update account_tokens t set used_at = now() where t.account_id = account and t.purpose = wanted and t.used_at is null;
  insert into account_tokens (id, account_id, purpose, email, token_hash, expires_at)
  values (new_id, account, wanted, address, hash, now() + make_interval(secs => seconds));
  return true;
end $$;
call offer('issue_account_token(uuid, uuid, text, bytea, integer)', 'app');

-- A token that is still good.
create function find_account_token(token uuid) returns table (account_id uuid, purpose text, email text, token_hash bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select t.account_id, t.purpose, t.email, t.token_hash from account_tokens t
  where t.id = token and t.used_at is null and t.expires_at > now()
$$;
call offer('find_account_token(uuid)', 'app');

-- Uses a token up: of two at once, one.
create function use_account_token(token uuid, wanted text, hash bytea) returns table (account_id uuid, email text)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update account_tokens t set used_at = now()
  where t.id = token and t.purpose = wanted and t.token_hash = hash and t.used_at is null and t.expires_at > now()
  returning t.account_id, t.email
$$;
call offer('use_account_token(uuid, text, bytea)', 'app');

-- Notes that an account reads what is sent to its address. False when it had been noted, or the address is another now.
create function verify_account_email(account uuid, address text) returns boolean
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with verified as (
    update accounts a set email_verified_at = now()
    where a.id = account and a.email_normal = lower(address) and a.email_verified_at is null returning 1)
  select exists (select 1 from verified)
$$;
call offer('verify_account_email(uuid, text)', 'app');

-- Sets the password of an account; links that would have reset the old one are void.
create function set_account_password(account uuid, hash text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update account_tokens t set used_at = now()
  where t.account_id = account and t.purpose = 'reset_password' and t.used_at is null;
  update accounts a set password_hash = hash where a.id = account;
$$;
call offer('set_account_password(uuid, text)', 'app');

-- Ends the sessions of an account in all its tenants but one session, and tells the log of each tenant, as itself.
create function end_account_sessions(account uuid, kept uuid, reason text, request text, operation uuid, address text, agent text)
returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with ended as (
    update sessions s set ended_at = now(), end_reason = reason
    from users u
    where u.account_id = account and s.tenant_id = u.tenant_id and s.user_id = u.id and s.ended_at is null
      and s.id is distinct from kept
    returning s.tenant_id, s.id, u.id as user_id, u.name
  ), told as (
    insert into events (tenant_id, id, lane, name, type, record_id, actor, request_id, operation_id, ip, user_agent, data)
    select e.tenant_id, new_uuid(), 0, 'session.ended', 'session', e.id,
           jsonb_build_object('id', e.user_id, 'type', 'user', 'name', e.name), request, operation, address, agent,
           jsonb_build_object('userId', e.user_id, 'reason', reason)
    from ended e)
  select e.tenant_id, e.id from ended e
$$;
call offer('end_account_sessions(uuid, uuid, text, text, uuid, text, text)', 'app');

-- Down Migration

drop function end_account_sessions(uuid, uuid, text, text, uuid, text, text), set_account_password(uuid, text),
  verify_account_email(uuid, text), use_account_token(uuid, text, bytea), find_account_token(uuid),
  issue_account_token(uuid, uuid, text, bytea, integer), account_of(uuid);
drop table account_tokens;
alter table accounts drop column email_verified_at;
