-- Up Migration

-- What tells a hidden member is hidden with it: roles that hide one from before say so now.
update roles r set version = r.version + 1, field_rules = r.field_rules || more.rules
from (
  select o.tenant_id, o.id, jsonb_agg(distinct jsonb_build_object('resource', t.resource, 'field', t.teller, 'rule', 'hidden')) as rules
  from roles o cross join jsonb_array_elements(o.field_rules) f(rule)
  join (values
    ('deal', 'value', 'linesTotal'), ('deal', 'value', 'lineItems'), ('deal', 'linesTotal', 'lineItems'),
    ('contact', 'email', 'emails'), ('contact', 'phone', 'phones')
  ) t(resource, member, teller) on f.rule ->> 'resource' = t.resource and f.rule ->> 'field' = t.member
  where f.rule ->> 'rule' = 'hidden'
    and not o.field_rules @> jsonb_build_array(jsonb_build_object('resource', t.resource, 'field', t.teller, 'rule', 'hidden'))
  group by o.tenant_id, o.id
) more
where r.tenant_id = more.tenant_id and r.id = more.id;

-- Down Migration

-- What a role hides stays hidden.
