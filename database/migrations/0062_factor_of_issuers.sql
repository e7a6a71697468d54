-- Up Migration

-- Whether the issuer has seen a second factor: the session that the code becomes has one then.
alter table openid_codes add factor boolean not null default false;

-- Down Migration

alter table openid_codes drop column factor;
