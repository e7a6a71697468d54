-- Up Migration

-- Since when a deal is in its stage, and when it begins to rot there: the stage's days after it came, null where they do
-- not rot. `changed_by_id` is left by each write, for the history below.
alter table deals add column stage_entered_at timestamptz(3), add column rots_at timestamptz(3), add column changed_by_id uuid;

-- Each stay of a deal in a stage, from when until when, and who brought it there; under the deal's version that began it.
-- The stage's name is kept: a stage that holds no deals can be taken out of its pipeline.
create table deal_stage_history (
  tenant_id uuid not null references tenants,
  deal_id uuid not null,
  version integer not null,
  stage_id uuid not null,
  stage_name text not null,
  pipeline_id uuid not null,
  entered_at timestamptz(3) not null,
  left_at timestamptz(3),
  entered_by_id uuid,
  primary key (tenant_id, deal_id, version),
  foreign key (tenant_id, deal_id) references deals on delete cascade
);
call protect('deal_stage_history', 'select, insert, update', 'select, delete');

-- What was before is in the timeline: a deal enters a stage when it is created and when its stageId changes.
insert into deal_stage_history (tenant_id, deal_id, version, stage_id, stage_name, pipeline_id, entered_at, entered_by_id)
select d.tenant_id, d.id, a.version, (c.value ->> 'newValue')::uuid, coalesce(s.name, ''), coalesce(s.pipeline_id, d.pipeline_id), a.occurred_at, a.actor_id
from activities a cross join lateral jsonb_array_elements(a.changes) c
join deals d on d.tenant_id = a.tenant_id and d.id = a.entity_id
left join stages s on s.tenant_id = a.tenant_id and s.id = (c.value ->> 'newValue')::uuid
where a.entity_type = 'deal' and a.version is not null and c.value ->> 'field' = 'stageId' and c.value ->> 'newValue' is not null
on conflict do nothing;
-- What the timeline had not told yet.
insert into deal_stage_history (tenant_id, deal_id, version, stage_id, stage_name, pipeline_id, entered_at, entered_by_id)
select d.tenant_id, d.id, d.version, d.stage_id, s.name, d.pipeline_id, d.updated_at, null
from deals d join stages s on s.tenant_id = d.tenant_id and s.id = d.stage_id
where d.stage_id is distinct from (
  select h.stage_id from deal_stage_history h where h.tenant_id = d.tenant_id and h.deal_id = d.id order by h.version desc limit 1)
on conflict (tenant_id, deal_id, version) do update set stage_id = excluded.stage_id, stage_name = excluded.stage_name;
update deal_stage_history h set left_at = n.entered_at
from (select tenant_id, deal_id, version, lead(entered_at) over (partition by tenant_id, deal_id order by version) as entered_at from deal_stage_history) n
where n.tenant_id = h.tenant_id and n.deal_id = h.deal_id and n.version = h.version and n.entered_at is not null;
update deals d set stage_entered_at = h.entered_at,
  rots_at = case when d.status = 'open' then h.entered_at + make_interval(hours => 24 * s.rotting_days) end
from deal_stage_history h, stages s
where h.tenant_id = d.tenant_id and h.deal_id = d.id and h.left_at is null and s.tenant_id = d.tenant_id and s.id = d.stage_id;

alter table deals alter column stage_entered_at set not null;
create index deals_stage_entered_at_sort on deals (tenant_id, stage_entered_at, id) where deleted_at is null and archived_at is null;
create index deals_rots_at_sort on deals (tenant_id, rots_at, id) where deleted_at is null and archived_at is null;
do $$ begin execute format('grant update (rots_at) on deals to %I', role_named('worker')); end $$;

-- Runs after deal_follows_stage: triggers fire in the order of their names. A deal that comes as one that has ended, as
-- imports bring them, is in its stage since then.
create function deal_stage_since() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.stage_entered_at := least(new.closed_at, now());
  elsif new.stage_id is distinct from old.stage_id then
    new.stage_entered_at := now();
  else
    return new;
  end if;
  new.rots_at := (
    select new.stage_entered_at + make_interval(hours => 24 * s.rotting_days)
    from stages s where s.tenant_id = new.tenant_id and s.id = new.stage_id and s.kind = 'open');
  return new;
end $$;
create trigger deal_stage_since before insert or update of stage_id, pipeline_id on deals
  for each row execute function deal_stage_since();

-- Runs after the foreign keys, which wait for a pipeline that is being changed: what is read here of the stage is what it
-- was changed to, and the days to rot are set right should they be others by now.
create function deal_stage_kept() returns trigger language plpgsql as $$
declare
  stage record;
  rots timestamptz;
begin
  select s.name, s.kind, s.rotting_days into stage from stages s where s.tenant_id = new.tenant_id and s.id = new.stage_id;
  if tg_op = 'UPDATE' then
    update deal_stage_history h set left_at = greatest(new.stage_entered_at, h.entered_at)
    where h.tenant_id = new.tenant_id and h.deal_id = new.id and h.left_at is null;
  end if;
  insert into deal_stage_history (tenant_id, deal_id, version, stage_id, stage_name, pipeline_id, entered_at, entered_by_id)
  values (new.tenant_id, new.id, new.version, new.stage_id, stage.name, new.pipeline_id, new.stage_entered_at,
    case tg_op when 'INSERT' then new.created_by_id else new.changed_by_id end);
  rots := case when stage.kind = 'open' then new.stage_entered_at + make_interval(hours => 24 * stage.rotting_days) end;
  if rots is distinct from new.rots_at then
    update deals set rots_at = rots where tenant_id = new.tenant_id and id = new.id;
  end if;
  return null;
end $$;
create trigger deal_stage_kept after insert on deals for each row execute function deal_stage_kept();
create trigger deal_stage_changed after update of stage_id, pipeline_id on deals for each row
  when (new.stage_id is distinct from old.stage_id) execute function deal_stage_kept();

-- Down Migration

drop trigger deal_stage_changed on deals;
drop trigger deal_stage_kept on deals;
drop trigger deal_stage_since on deals;
drop function deal_stage_kept(), deal_stage_since();
drop table deal_stage_history;
alter table deals drop column stage_entered_at, drop column rots_at, drop column changed_by_id;
