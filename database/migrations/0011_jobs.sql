-- Up Migration

-- Whose turn it is in a queue: the turn of the last job that a tenant put there. A tenant with many jobs stands in line
-- behind itself, not before the others.
create table job_turns (
  tenant_id uuid not null references tenants,
  queue text not null,
  turn integer not null,
  primary key (tenant_id, queue)
);
call protect('job_turns', null, 'select, insert, update, delete');

-- Down Migration

drop table job_turns;
