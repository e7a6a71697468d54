-- Up Migration

-- As 0009 for the tables that came since or were not measured then: a value of a handful of records must be in the sample.
alter table users alter column active set statistics 1000;
alter table notes alter column pinned set statistics 1000;
alter table products alter column active set statistics 1000;
alter table interactions alter column type set statistics 1000;

-- Down Migration

alter table users alter column active set statistics -1;
alter table notes alter column pinned set statistics -1;
alter table products alter column active set statistics -1;
alter table interactions alter column type set statistics -1;
