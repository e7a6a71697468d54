-- Up Migration

-- A list that is filtered by a number or a date of the tenant's own runs by it, and its ties by id. With created_at before
-- the id, every page would read and sort all records that share the value it begins with.
create index custom_values_number_order on custom_values (tenant_id, field_id, number_value, record_id);
drop index custom_values_number;

-- Down Migration

create index custom_values_number on custom_values (tenant_id, field_id, number_value, created_at, record_id);
drop index custom_values_number_order;
