-- Up Migration

-- How far the records that were there before duplicates were looked for have been gone through: a row for each noun.
create table match_progress (
  record_type text primary key,
  after_tenant uuid not null default '00000000-0000-0000-0000-000000000000',
  after_id uuid not null default '00000000-0000-0000-0000-000000000000',
  finished_at timestamptz(3)
);
do $$ begin
  execute format('grant select, insert, update on match_progress to %I', role_named('worker'));
end $$;

-- Down Migration

drop table match_progress;
