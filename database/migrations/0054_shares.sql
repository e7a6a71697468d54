-- Up Migration

-- Single records that are shared with users and teams, beside those to whom they belong.
create table record_shares (
  tenant_id uuid not null references tenants,
  record_type text collate "C" not null,
  record_id uuid not null,
  grantee_id uuid not null,
  grantee_type text collate "C" not null check (grantee_type in ('user', 'team')),
  access text collate "C" not null check (access in ('read', 'write')),
  shared_by_id uuid,
  shared_at timestamptz(3) not null default now(),
  primary key (tenant_id, record_type, record_id, grantee_id)
);
create index record_shares_grantee on record_shares (tenant_id, record_type, grantee_id, record_id) include (access);
call protect('record_shares', 'select, insert, update, delete', 'select, delete');

-- With whom a record was shared when it changed: who consumes the log knows whom to tell without asking. Null: nobody.
alter table events add shares jsonb;

-- What belongs to nobody belongs to who made it.
create index companies_unheld on companies (tenant_id, created_by_id, created_at, id) where owner_id is null and deleted_at is null and archived_at is null;
create index contacts_unheld on contacts (tenant_id, created_by_id, created_at, id) where owner_id is null and deleted_at is null and archived_at is null;
create index deals_unheld on deals (tenant_id, created_by_id, created_at, id) where owner_id is null and deleted_at is null and archived_at is null;
create index leads_unheld on leads (tenant_id, created_by_id, created_at, id) where owner_id is null and deleted_at is null and archived_at is null;
create index tasks_unheld on tasks (tenant_id, created_by_id, created_at, id) where assignee_ids = '{}' and deleted_at is null and archived_at is null;

-- Down Migration

drop index companies_unheld, contacts_unheld, deals_unheld, leads_unheld, tasks_unheld;
alter table events drop column shares;
drop table record_shares;
