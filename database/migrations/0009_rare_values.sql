-- Up Migration

-- A value that a handful of 100,000 records have was missed by every other sample of `analyze`; then the planner believes
-- that all records have the common one, and walks them all for the rare. One column with this target makes the sample of
-- its whole table ten times as large.
alter table contacts alter column stage set statistics 1000;
alter table companies alter column industry set statistics 1000;
alter table deals alter column currency set statistics 1000;
alter table tasks alter column status set statistics 1000;

-- Down Migration

alter table contacts alter column stage set statistics -1;
alter table companies alter column industry set statistics -1;
alter table deals alter column currency set statistics -1;
alter table tasks alter column status set statistics -1;
