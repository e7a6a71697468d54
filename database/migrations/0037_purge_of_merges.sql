-- Up Migration

-- What a merge kept to be taken back goes when its records are gone: the oldest are looked for, over all tenants.
create index merges_merged_at on merges (record_type, merged_at);

-- Down Migration

drop index merges_merged_at;
