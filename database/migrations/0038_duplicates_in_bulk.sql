-- Up Migration

-- What the subscription `duplicates` derives is written by it alone, from records that have a tenant, as the timeline and the
-- search documents are. Asking for the tenant of each row was a third of the time of writing pairs.
alter table match_keys drop constraint match_keys_tenant_id_fkey;
alter table duplicate_pairs drop constraint duplicate_pairs_tenant_id_fkey;

-- Down Migration

alter table duplicate_pairs add constraint duplicate_pairs_tenant_id_fkey foreign key (tenant_id) references tenants;
alter table match_keys add constraint match_keys_tenant_id_fkey foreign key (tenant_id) references tenants;
