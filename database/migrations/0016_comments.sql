-- Up Migration

-- What people say about a record. It hangs on any noun, so no foreign key can hold it: who may comment is checked when it
-- is written, and it goes with its record when that is purged.
create table comments (
  tenant_id uuid not null references tenants,
  id uuid not null,
  entity_type text collate "C" not null,
  entity_id uuid not null,
  body text not null,
  author_id uuid,
  mentions uuid[] not null default '{}',
  edited_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  version integer not null default 1,
  primary key (tenant_id, id)
);
create index comments_record on comments (tenant_id, entity_type, entity_id, created_at, id);
call protect('comments', 'select, insert, update, delete', 'select, update, delete');

-- What a comment said before each edit.
create table comment_versions (
  tenant_id uuid not null references tenants,
  comment_id uuid not null,
  version integer not null,
  body text not null,
  written_at timestamptz(3) not null,
  primary key (tenant_id, comment_id, version),
  foreign key (tenant_id, comment_id) references comments on delete cascade
);
call protect('comment_versions', 'select, insert', 'select');

create function forget_comments() returns trigger language plpgsql as $$
begin
  delete from comments c using gone g where c.tenant_id = g.tenant_id and c.entity_type = tg_argv[0] and c.entity_id = g.id;
  return null;
end $$;

-- Every table of records that can be commented on goes through here: a row that is purged takes its comments along.
create procedure commented(target regclass, type text) language plpgsql as $$
begin
  execute format('create trigger comments_go_along after delete on %s referencing old table as gone
    for each statement execute function forget_comments(%L)', target, type);
end $$;
do $$
declare noun record;
begin
  for noun in
    select to_regclass(n.name) as target, n.type
    from (values ('contacts', 'contact'), ('companies', 'company'), ('leads', 'lead'), ('deals', 'deal'), ('tasks', 'task'),
                 ('notes', 'note'), ('interactions', 'interaction'), ('products', 'product')) n(name, type)
  loop
    if noun.target is not null then call commented(noun.target, noun.type); end if;
  end loop;
end $$;

-- Down Migration

drop procedure commented(regclass, text);
drop function forget_comments() cascade;
drop table comment_versions, comments;
