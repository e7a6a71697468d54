-- Up Migration
-- Lists of the smaller nouns are filtered by these members too, and each filter has its index under the default sort.
create index teams_manager on teams (tenant_id, manager_id, created_at, id) where deleted_at is null and archived_at is null;
create index teams_created_by_id on teams (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
create index users_active on users (tenant_id, active, created_at, id) where deleted_at is null and archived_at is null;
create index users_created_by_id on users (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;
create index tags_created_by_id on tags (tenant_id, created_by_id, created_at, id) where deleted_at is null and archived_at is null;

-- Down Migration
drop index teams_manager, teams_created_by_id, users_active, users_created_by_id, tags_created_by_id;
