-- Up Migration

-- Calls of this minute as all processes counted them, by which each learns of the others once a second. Unlogged: after a
-- crash the minute begins anew, and nothing else is lost. The worker role's alone, as keys of addresses have no tenant.
create unlogged table rate_counts (
  minute bigint not null,
  key text not null,
  count integer not null,
  primary key (minute, key)
);
do $$ begin
  execute format('grant select, insert, update, delete on rate_counts to %I', role_named('worker'));
end $$;

-- Down Migration

drop table rate_counts;
