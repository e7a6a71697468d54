-- Up Migration

-- Who gives a role of the tenant's own and who deletes it take turns: a role that is gone is given to nobody, whatever way
-- it is given.
create function hold_role() returns trigger language plpgsql as $$
begin
  perform from roles r where r.tenant_id = new.tenant_id and r.id = new.role_id and r.deleted_at is null for share;
  if not found then
    raise exception 'must refer to records that you may read' using errcode = 'CF400', column = 'roleId';
  end if;
  return new;
end $$;
create trigger users_hold_role before insert on users for each row when (new.role_id is not null) execute function hold_role();
create trigger users_hold_new_role before update of role_id on users for each row
  when (new.role_id is not null and new.role_id is distinct from old.role_id) execute function hold_role();
create trigger invitations_hold_role before insert on invitations for each row when (new.role_id is not null) execute function hold_role();

-- From now on an open invitation holds its role. One whose role has gone already would make a plain member.
update invitations i set revoked_at = now(), updated_at = now()
where i.role_id is not null and i.accepted_at is null and i.revoked_at is null
  and not exists (select from roles r where r.tenant_id = i.tenant_id and r.id = i.role_id and r.deleted_at is null);

-- Down Migration

drop trigger invitations_hold_role on invitations;
drop trigger users_hold_new_role on users;
drop trigger users_hold_role on users;
drop function hold_role();
