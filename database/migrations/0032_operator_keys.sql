-- Up Migration

-- Answers that a repeated POST of a platform operator gets again, as `idempotency_keys` has them for tenants.
create table operator_idempotency_keys (
  operator_id uuid not null,
  method text not null,
  path text not null,
  key text not null,
  body_hash bytea not null,
  status integer not null,
  headers jsonb not null,
  body text,
  created_at timestamptz(3) not null default now(),
  primary key (operator_id, method, path, key)
);
create index operator_idempotency_keys_created_at on operator_idempotency_keys (created_at);
do $$ begin
  execute format('grant select, insert, delete on operator_idempotency_keys to %I', role_named('worker'));
end $$;

-- Down Migration

drop table operator_idempotency_keys;
