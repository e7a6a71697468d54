-- Up Migration

-- Who somebody of an OpenID issuer is in a tenant: by issuer and subject, which the issuer never gives to another.
create table openid_identities (
  tenant_id uuid not null references tenants,
  issuer text not null,
  subject text not null,
  user_id uuid not null,
  created_at timestamptz(3) not null default now(),
  primary key (tenant_id, issuer, subject),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create index openid_identities_user on openid_identities (tenant_id, user_id);
call protect('openid_identities', 'select, insert', 'select, delete');

-- Sign-ins that have been sent to an issuer and are to come back, once. No tenant is known yet: the worker role's alone.
create table openid_attempts (
  state_hash bytea primary key,
  provider text not null,
  nonce text not null,
  verifier text not null,
  -- Of the cookie of the browser that began; another browser that comes with the state was tricked into it.
  browser_hash bytea not null,
  -- What the page that asked keeps to itself until it takes its tokens; null: it asked for no such bond.
  challenge text,
  expires_at timestamptz(3) not null
);
create index openid_attempts_expires_at on openid_attempts (expires_at);

do $$ begin
  execute format('grant select, insert, delete on openid_attempts to %I', role_named('worker'));
end $$;

-- Codes that were given to a page after a sign-in: each becomes a session once, within a minute.
create table openid_codes (
  tenant_id uuid not null references tenants,
  code_hash bytea not null,
  user_id uuid not null,
  challenge text,
  expires_at timestamptz(3) not null,
  primary key (tenant_id, code_hash),
  foreign key (tenant_id, user_id) references users on delete cascade
);
create index openid_codes_expires_at on openid_codes (expires_at);
call protect('openid_codes', 'select, insert, delete', 'select, delete');

-- Down Migration

drop table openid_codes, openid_attempts, openid_identities;
