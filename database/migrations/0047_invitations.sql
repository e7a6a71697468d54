-- Up Migration

-- Who is asked to become a member. The token in the mail follows from id, generation and a secret of the configuration:
-- sent again it is another, and the one before is void.
create table invitations (
  tenant_id uuid not null references tenants,
  id uuid not null,
  email text not null,
  name text,
  role text not null,
  role_id uuid,
  team_id uuid,
  -- A member who is there already, and cannot sign in yet.
  user_id uuid,
  generation integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  sent_at timestamptz(3) not null default now(),
  created_by_id uuid,
  expires_at timestamptz(3) not null,
  accepted_at timestamptz(3),
  accepted_by_id uuid,
  revoked_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, team_id) references teams on delete set null (team_id),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create unique index invitations_by_id on invitations (id);
create unique index invitations_email on invitations (tenant_id, lower(email)) where accepted_at is null and revoked_at is null;
create index invitations_created_at on invitations (tenant_id, created_at, id);
create index invitations_user on invitations (tenant_id, user_id) where user_id is not null;
create index invitations_open on invitations (tenant_id, expires_at) where accepted_at is null and revoked_at is null and user_id is null;
create index invitations_old on invitations (expires_at);
call protect('invitations', 'select, insert, update', 'select, delete');

-- Which tenant an invitation is to; the token itself is checked in that tenant.
create function find_invitation(invitation uuid) returns table (tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select i.tenant_id from invitations i where i.id = invitation
$$;
call offer('find_invitation(uuid)', 'app');

-- Down Migration

drop function find_invitation(uuid);
drop table invitations;
