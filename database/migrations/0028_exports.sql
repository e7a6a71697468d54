-- Up Migration

create table exports (
  tenant_id uuid not null references tenants,
  id uuid not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  created_by_id uuid not null,
  completed_at timestamptz(3),
  status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed')),
  resource text not null,
  format text not null check (format in ('csv', 'xlsx', 'jsonl')),
  -- Filters, sort and columns as they were asked for.
  options jsonb not null,
  total integer,
  processed integer not null default 0,
  -- Where the file is kept until it is purged, and its size.
  file jsonb,
  failure text,
  operation_id uuid not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, created_by_id) references users
);
create index exports_created_by on exports (tenant_id, created_by_id, created_at, id);
create index exports_old on exports (created_at);
call protect('exports', 'select, insert, update', 'select, update, delete');

-- Down Migration

drop table exports;
