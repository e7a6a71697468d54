-- Up Migration

-- Grows with each change of what an account is proved by: who was let in by what is void now does not come in.
alter table accounts add column credentials_version integer not null default 0;

create function password_counts() returns trigger language plpgsql as $$
begin
  new.credentials_version := old.credentials_version + 1;
  return new;
end $$;
create trigger accounts_password_counts before update of password_hash on accounts for each row execute function password_counts();

create function factor_goes() returns trigger language plpgsql as $$
begin
  update accounts a set credentials_version = a.credentials_version + 1 where a.id = old.account_id;
  return null;
end $$;
create trigger totp_goes after delete on account_totp for each row execute function factor_goes();
create trigger passkey_goes after delete on account_passkeys for each row execute function factor_goes();

create function credentials_version_of(account uuid) returns integer
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.credentials_version from accounts a where a.id = account
$$;
call offer('credentials_version_of(uuid)', 'app');

-- Notes that an account signs in to a tenant from an address. False when what it was proved by has changed since it was
-- `seen`; null: it was proved by something else. Who changes it meanwhile waits, and then ends the session.
create function enter_tenant(account uuid, tenant uuid, whence text, seen integer) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  perform from accounts a where a.id = account and (seen is null or a.credentials_version = seen) for no key update;
  if not found then return false; end if;
  update accounts a set last_tenant_id = tenant where a.id = account and a.last_tenant_id is distinct from tenant;
  insert into account_addresses as k (account_id, address) values (account, whence)
  on conflict (account_id, address) do update set last_used_at = now() where k.last_used_at < now() - interval '1 day';
  return true;
end $$;
call offer('enter_tenant(uuid, uuid, text, integer)', 'app');
drop function note_tenant(uuid, uuid), note_address(uuid, text);

-- Down Migration

create function note_tenant(account uuid, tenant uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update accounts set last_tenant_id = tenant where id = account and last_tenant_id is distinct from tenant
$$;
call offer('note_tenant(uuid, uuid)', 'app');
create function note_address(account uuid, whence text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into account_addresses as k (account_id, address) values (account, whence)
  on conflict (account_id, address) do update set last_used_at = now() where k.last_used_at < now() - interval '1 day'
$$;
call offer('note_address(uuid, text)', 'app');
drop function enter_tenant(uuid, uuid, text, integer), credentials_version_of(uuid);
drop trigger passkey_goes on account_passkeys;
drop trigger totp_goes on account_totp;
drop trigger accounts_password_counts on accounts;
drop function factor_goes(), password_counts();
alter table accounts drop column credentials_version;
