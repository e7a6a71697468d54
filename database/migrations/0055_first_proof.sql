-- Up Migration

-- Without one, who has proved his address has chosen no password yet: none is right.
alter table accounts alter column password_hash drop not null;

drop function find_account(text);
create function find_account(wanted_email text)
returns table (id uuid, password_hash text, last_tenant_id uuid, verified boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.password_hash, a.last_tenant_id, a.email_verified_at is not null
  from accounts a where a.email_normal = lower(wanted_email)
$$;
call offer('find_account(text)', 'app');

-- Gives an account to who has proved its address, which nobody had before: whoever typed the address may have made it, so
-- what was set until now is void. Gives what that was; no row when the address was proved before, or is another now.
create function claim_account(account uuid, address text, new_hash text) returns table (password boolean, factors boolean)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  removed integer;
begin
  select a.password_hash is not null into password from accounts a
  where a.id = account and a.email_normal = lower(address) and a.email_verified_at is null for no key update;
  if not found then return; end if;
  update accounts a set email_verified_at = now(), password_hash = new_hash where a.id = account;
  delete from account_totp t where t.account_id = account;
  get diagnostics removed = row_count;
  factors := removed > 0;
  delete from account_passkeys p where p.account_id = account;
  get diagnostics removed = row_count;
  factors := factors or removed > 0;
  delete from passkey_challenges c where c.account_id = account;
  delete from account_addresses k where k.account_id = account;
  update account_tokens t set used_at = now() where t.account_id = account and t.used_at is null;
  return next;
end $$;
call offer('claim_account(uuid, text, text)', 'app');

-- Down Migration

drop function claim_account(uuid, text, text), find_account(text);
create function find_account(wanted_email text) returns table (id uuid, password_hash text, last_tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select a.id, a.password_hash, a.last_tenant_id from accounts a where a.email_normal = lower(wanted_email)
$$;
call offer('find_account(text)', 'app');
update accounts set password_hash = '' where password_hash is null;
alter table accounts alter column password_hash set not null;
