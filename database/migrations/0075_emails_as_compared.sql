-- Up Migration

-- Emails in the form in which they are compared: no index on an expression is used under row-level security, and who is
-- invited, imported or sent by an issuer is looked for among all users of the tenant.
alter table users add column email_normal text generated always as (lower(email)) stored;
drop index users_email_key;
create unique index users_email_key on users (tenant_id, email_normal) where deleted_at is null;

alter table invitations add column email_normal text not null generated always as (lower(email)) stored;
drop index invitations_email;
create unique index invitations_email on invitations (tenant_id, email_normal) where accepted_at is null and revoked_at is null;

-- What a tenant sent within a day.
create index invitations_sent on invitations (tenant_id, sent_at);

-- Down Migration

drop index invitations_sent;
alter table invitations drop column email_normal;
create unique index invitations_email on invitations (tenant_id, lower(email)) where accepted_at is null and revoked_at is null;
alter table users drop column email_normal;
create unique index users_email_key on users (tenant_id, lower(email)) where deleted_at is null;
