-- Up Migration

-- Tries to prove who one is that failed, or are under way. What was tried (an email, whether or not anybody has it) stands
-- here as a hash only; where it came from as an address, or the network of one.
create table sign_in_attempts (
  id bigint generated always as identity primary key,
  subject bytea not null,
  address text not null,
  at timestamptz(3) not null default clock_timestamp()
);
create index sign_in_attempts_of_subject on sign_in_attempts (subject, address, at);
create index sign_in_attempts_of_address on sign_in_attempts (address, at);
create index sign_in_attempts_at on sign_in_attempts (at);

-- From where an account has signed in before.
create table account_addresses (
  account_id uuid not null references accounts on delete cascade,
  address text not null,
  last_used_at timestamptz(3) not null default now(),
  primary key (account_id, address)
);
create index account_addresses_last_used_at on account_addresses (last_used_at);
do $$ begin
  execute format('grant select, delete on sign_in_attempts, account_addresses to %I', role_named('worker'));
end $$;

-- Counts a try before it is known how it ends, so that many at once are counted like one after the other. Gives how many
-- there were within the time before it: of the subject from the address, and from the address over all subjects, with the
-- seconds until one of the latter is forgotten. Where the address has as many as it may, nothing is counted (and no id
-- given), else who goes on trying would never be let in again; to whom it is familiar is counted all the same.
create function begin_attempt(tried bytea, whence text, seconds integer, at_most integer, familiar_to text)
returns table (id bigint, of_subject integer, of_address integer, forgotten_in integer, familiar boolean)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  since timestamptz := clock_timestamp() - make_interval(secs => seconds);
begin
  perform pg_advisory_xact_lock(hashtextextended('clientforge.attempts ' || whence, 0));
  select count(*)::integer, greatest(1, ceil(extract(epoch from min(a.at) - since)))::integer into of_address, forgotten_in
  from sign_in_attempts a where a.address = whence and a.at > since;
  select count(*)::integer into of_subject
  from sign_in_attempts a where a.subject = tried and a.address = whence and a.at > since;
  familiar := exists (
    select from account_addresses k join accounts c on c.id = k.account_id
    where c.email_normal = lower(familiar_to) and k.address = whence);
  if of_address < at_most or familiar then
    insert into sign_in_attempts (subject, address) values (tried, whence) returning sign_in_attempts.id into id;
  end if;
  return next;
end $$;
call offer('begin_attempt(bytea, text, integer, integer, text)', 'app');

-- Takes back one try that was no failure.
create function withdraw_attempt(attempt bigint) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from sign_in_attempts a where a.id = attempt
$$;
call offer('withdraw_attempt(bigint)', 'app');

-- Forgets the tries of a subject from an address, as one has been right.
create function forget_attempts(tried bytea, whence text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from sign_in_attempts a where a.subject = tried and a.address = whence
$$;
call offer('forget_attempts(bytea, text)', 'app');

-- Notes from where an account has signed in; once a day is enough.
create function note_address(account uuid, whence text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into account_addresses as k (account_id, address) values (account, whence)
  on conflict (account_id, address) do update set last_used_at = now() where k.last_used_at < now() - interval '1 day'
$$;
call offer('note_address(uuid, text)', 'app');

-- Down Migration

drop function note_address(uuid, text), forget_attempts(bytea, text), withdraw_attempt(bigint),
  begin_attempt(bytea, text, integer, integer, text);
drop table account_addresses, sign_in_attempts;
