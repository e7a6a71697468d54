-- Up Migration

-- Where a platform operator is signed in. He has no tenant, so these are the worker role's alone: nothing that a request
-- of a tenant runs can reach them. Who the operator is stands in the configuration; `credential` is a keyed hash of his
-- email and password there, so that a change of either ends every session.
create table operator_sessions (
  id uuid primary key,
  credential bytea not null,
  generation integer not null default 1,
  -- Null for the sign-in page, whose cookie is no refresh token.
  token_hash bytea,
  previous_hash bytea,
  rotated_at timestamptz(3),
  rotated_from text,
  user_agent text,
  ip text,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  ended_at timestamptz(3),
  end_reason text
);
create index operator_sessions_expires_at on operator_sessions (expires_at);
do $$ begin
  execute format('grant select, insert, update, delete on operator_sessions to %I', role_named('worker'));
end $$;

-- Down Migration

drop table operator_sessions;
