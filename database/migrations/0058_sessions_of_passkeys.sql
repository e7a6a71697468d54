-- Up Migration

-- The passkey that was shown in the session. Of a session with `second_factor` 'passkey' that was begun before this, null.
alter table sessions add column passkey_id uuid;

-- Ends the sessions of an account in all its tenants but one session, and tells the log of each tenant, as itself. Of a
-- passkey: those in which it was shown, and those of which nobody knows which passkey it was.
drop function end_account_sessions(uuid, uuid, text, text, uuid, text, text);
create function end_account_sessions(
  account uuid, kept uuid, of_passkey uuid, reason text, request text, operation uuid, address text, agent text)
returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with ended as (
    update sessions s set ended_at = now(), end_reason = reason
    from users u
    where u.account_id = account and s.tenant_id = u.tenant_id and s.user_id = u.id and s.ended_at is null
      and s.id is distinct from kept
      and (of_passkey is null or s.passkey_id = of_passkey or (s.second_factor = 'passkey' and s.passkey_id is null))
    returning s.tenant_id, s.id, u.id as user_id, u.name
  ), told as (
    insert into events (tenant_id, id, lane, name, type, record_id, actor, request_id, operation_id, ip, user_agent, data)
    select e.tenant_id, new_uuid(), 0, 'session.ended', 'session', e.id,
           jsonb_build_object('id', e.user_id, 'type', 'user', 'name', e.name), request, operation, address, agent,
           jsonb_build_object('userId', e.user_id, 'reason', reason)
    from ended e)
  select e.tenant_id, e.id from ended e
$$;
call offer('end_account_sessions(uuid, uuid, uuid, text, text, uuid, text, text)', 'app');

-- Down Migration

drop function end_account_sessions(uuid, uuid, uuid, text, text, uuid, text, text);
create function end_account_sessions(account uuid, kept uuid, reason text, request text, operation uuid, address text, agent text)
returns table (tenant_id uuid, id uuid)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  with ended as (
    update sessions s set ended_at = now(), end_reason = reason
    from users u
    where u.account_id = account and s.tenant_id = u.tenant_id and s.user_id = u.id and s.ended_at is null
      and s.id is distinct from kept
    returning s.tenant_id, s.id, u.id as user_id, u.name
  ), told as (
    insert into events (tenant_id, id, lane, name, type, record_id, actor, request_id, operation_id, ip, user_agent, data)
    select e.tenant_id, new_uuid(), 0, 'session.ended', 'session', e.id,
           jsonb_build_object('id', e.user_id, 'type', 'user', 'name', e.name), request, operation, address, agent,
           jsonb_build_object('userId', e.user_id, 'reason', reason)
    from ended e)
  select e.tenant_id, e.id from ended e
$$;
call offer('end_account_sessions(uuid, uuid, text, text, uuid, text, text)', 'app');
alter table sessions drop column passkey_id;
