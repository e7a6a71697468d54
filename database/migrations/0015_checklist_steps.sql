-- Up Migration

-- Every step of a checklist is known by its id; those that came without one get theirs.
update tasks t set checklist = (
  select jsonb_agg(case when i.item ? 'id' then i.item else jsonb_build_object('id', gen_random_uuid()) || i.item end order by i.place)
  from jsonb_array_elements(t.checklist) with ordinality i(item, place))
where exists (select 1 from jsonb_array_elements(t.checklist) item where not item ? 'id');

-- Down Migration

-- An id does no harm.
