-- Up Migration

-- A custom field can be out of use: records keep its values, and neither show nor take them until it is back.
alter table custom_fields add column active boolean not null default true;

-- A deleted field comes back with its values. Another one under its key would show them as its own.
create function key_of_deleted_field_stays() returns trigger language plpgsql as $$
begin
  if exists (
    select 1 from custom_fields f
    where f.tenant_id = new.tenant_id and f.resource = new.resource and f.key = new.key and f.deleted_at is not null)
  then
    raise exception 'A deleted field has this key and values of records: restore it, or choose another key'
      using errcode = 'CF422', column = 'FIELD_DELETED';
  end if;
  return new;
end $$;
create trigger key_of_deleted_field_stays before insert on custom_fields for each row execute function key_of_deleted_field_stays();

-- Down Migration

drop trigger key_of_deleted_field_stays on custom_fields;
drop function key_of_deleted_field_stays();
alter table custom_fields drop column active;
