-- Up Migration

-- An owner or administrator has all rights: a role of the tenant's own beside that would take them from him, though he
-- counts as one.
alter table users add constraint users_role_of_all check (role_id is null or role not in ('owner', 'admin')) not valid;
alter table invitations add constraint invitations_role_of_all check (role_id is null or role not in ('owner', 'admin')) not valid;

-- Who is one by name only keeps the rights that he has; but a tenant keeps an owner.
update users u set role = 'member'
where u.role_id is not null and (u.role = 'admin' or u.role = 'owner' and exists (
  select from users o where o.tenant_id = u.tenant_id and o.role = 'owner' and o.role_id is null and o.active and o.deleted_at is null));
update users u set role_id = null where u.role_id is not null and u.role = 'owner';
update invitations i set role = 'member' where i.role_id is not null and i.role in ('owner', 'admin');

alter table users validate constraint users_role_of_all;
alter table invitations validate constraint invitations_role_of_all;

-- Down Migration

alter table invitations drop constraint invitations_role_of_all;
alter table users drop constraint users_role_of_all;
