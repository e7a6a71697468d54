-- Up Migration

-- Rules that only the row as it will be can tell, whatever way the change comes.

-- A record is no ancestor of itself. Two that are hung under each other at the same time wait for each other here: the
-- second sees what the first has committed, as each statement of a function has a snapshot of its own.
create function parent_is_no_descendant() returns trigger language plpgsql as $$
declare
  found boolean;
begin
  perform pg_advisory_xact_lock(hashtextextended(tg_table_name || ' parents ' || new.tenant_id, 0));
  execute format($sql$
    with recursive up as (
      select $1::uuid as id
      union
      select r.parent_id from up join %I r on r.tenant_id = $2 and r.id = up.id where r.parent_id is not null
    )
    select exists (select 1 from up where id = $3)$sql$, tg_table_name)
    into found using new.parent_id, new.tenant_id, new.id;
  if found then
    raise exception 'A record cannot stand below itself; choose another parent' using errcode = 'CF422', column = 'PARENT_CYCLE';
  end if;
  return new;
end $$;
create trigger companies_parent before update of parent_id on companies for each row
  when (new.parent_id is not null and new.parent_id is distinct from old.parent_id) execute function parent_is_no_descendant();
create trigger tasks_parent before update of parent_id on tasks for each row
  when (new.parent_id is not null and new.parent_id is distinct from old.parent_id) execute function parent_is_no_descendant();

-- A contact keeps one of the members of which a create asks for one.
create function contact_has_a_name() returns trigger language plpgsql as $$
begin
  raise exception 'one of firstName, lastName, email is required' using errcode = 'CF400', column = 'firstName';
end $$;
create trigger contact_has_a_name before update of first_name, last_name, email on contacts for each row
  when (num_nonnulls(new.first_name, new.last_name, new.email) = 0) execute function contact_has_a_name();

-- Down Migration

drop trigger contact_has_a_name on contacts;
drop trigger tasks_parent on tasks;
drop trigger companies_parent on companies;
drop function parent_is_no_descendant(), contact_has_a_name();
