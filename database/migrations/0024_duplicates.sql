-- Up Migration

-- By what records may be the same, one row a key (backend/modules/duplicates/keys.ts). The subscription `duplicates` keeps
-- it in step with live records, and from it the pairs.
create table match_keys (
  tenant_id uuid not null references tenants,
  record_type text collate "C" not null,
  kind text collate "C" not null,
  key text collate "C" not null,
  record_id uuid not null,
  primary key (tenant_id, record_type, kind, key, record_id)
);
create index match_keys_record on match_keys (tenant_id, record_id);
call protect('match_keys', 'select', 'select, insert, delete');

-- Two records that may be the same, the lower id first.
create table duplicate_pairs (
  tenant_id uuid not null references tenants,
  record_type text collate "C" not null,
  a_id uuid not null,
  b_id uuid not null,
  score smallint not null check (score between 0 and 100),
  reasons jsonb not null,
  primary key (tenant_id, record_type, a_id, b_id),
  check (a_id < b_id)
);
create index duplicate_pairs_score on duplicate_pairs (tenant_id, record_type, score, a_id, b_id);
create index duplicate_pairs_b on duplicate_pairs (tenant_id, record_type, b_id);
call protect('duplicate_pairs', 'select', 'select, insert, update, delete');

-- Pairs of which somebody said that they are not the same.
create table dismissed_pairs (
  tenant_id uuid not null references tenants,
  record_type text collate "C" not null,
  a_id uuid not null,
  b_id uuid not null,
  dismissed_by_id uuid,
  dismissed_at timestamptz(3) not null default now(),
  primary key (tenant_id, record_type, a_id, b_id),
  check (a_id < b_id)
);
call protect('dismissed_pairs', 'select, insert', 'select, delete');

-- Down Migration

drop table dismissed_pairs, duplicate_pairs, match_keys;
