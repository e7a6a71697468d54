-- Up Migration

-- Who said that two records are not the same may take it back.
do $$ begin execute format('grant delete on dismissed_pairs to %I', role_named('app')); end $$;

-- Down Migration

do $$ begin execute format('revoke delete on dismissed_pairs from %I', role_named('app')); end $$;
