-- Up Migration

-- Which platform operator acts in a user's name in this session: his id and email, and why. Null: nobody but the user.
alter table sessions add column operator jsonb;

-- The membership with which an account signs in: the tenant used last, else the oldest; a suspended one only when there is
-- no other, so that the sign-in can say why it is refused.
drop function find_membership(uuid);
create function find_membership(account uuid) returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.tenant_id, u.id from users u join accounts a on a.id = u.account_id join tenants t on t.id = u.tenant_id
  where u.account_id = account and u.active and u.deleted_at is null
  order by t.suspended_at is not null, (u.tenant_id = a.last_tenant_id) desc nulls last, u.created_at, u.id limit 1
$$;
call offer('find_membership(uuid)', 'app');

-- The membership of an account in a tenant.
create function find_membership_in(account uuid, tenant uuid) returns table (user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.id from users u
  where u.tenant_id = tenant and u.account_id = account and u.active and u.deleted_at is null
$$;
call offer('find_membership_in(uuid, uuid)', 'app');

-- The tenants among which the person behind an account can switch.
create function list_memberships(account uuid) returns table (tenant_id uuid, name text, role text, suspended boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.tenant_id, t.name, u.role, t.suspended_at is not null
  from users u join tenants t on t.id = u.tenant_id
  where u.account_id = account and u.active and u.deleted_at is null
  order by u.created_at, u.id limit 200
$$;
call offer('list_memberships(uuid)', 'app');

-- Down Migration

drop function list_memberships(uuid), find_membership_in(uuid, uuid), find_membership(uuid);
create function find_membership(account uuid) returns table (tenant_id uuid, user_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select u.tenant_id, u.id from users u join accounts a on a.id = u.account_id
  where u.account_id = account and u.active and u.deleted_at is null
  order by (u.tenant_id = a.last_tenant_id) desc nulls last, u.created_at, u.id limit 1
$$;
call offer('find_membership(uuid)', 'app');
delete from sessions where operator is not null;
alter table sessions drop column operator;
