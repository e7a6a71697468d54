-- Up Migration

-- When the issuer last told the roles of an identity (older claims change nothing), whether it told that there are none
-- (then it lets nobody in until it tells of one), and who the identity is now: a member who was removed and added again
-- is another.
alter table openid_identities add told_at timestamptz(3), add refused boolean not null default false;

do $$ begin
  execute format('grant update (user_id, told_at, refused) on openid_identities to %I', role_named('app'));
end $$;

-- Down Migration

do $$ begin
  execute format('revoke update (user_id, told_at, refused) on openid_identities from %I', role_named('app'));
end $$;
alter table openid_identities drop column told_at, drop column refused;
