import type pg from 'pg'
import { asOwner } from './app.ts'

/** A tenant with very many records of most nouns, and many small tenants beside it, as the statistics of a real server have them. */
export const crowd = {
  tenantId: '00000000-0000-7000-8000-0000000c0de1',
  records: 100_000,
  /** Tenants with a hundred contacts each: what a generic plan believes of every tenant lies between them and the big one. */
  neighbours: 100,
  fields: {
    region: '00000000-0000-7000-8000-0000000f1e1d',
    seats: '00000000-0000-7000-8000-0000000f1e2d',
    renewal: '00000000-0000-7000-8000-0000000f1e3d',
  },
} as const

/** Fills a database as its owner. Indexes are made after the rows, which takes a third of the time. */
export async function fillCrowd(ownerUrl: string): Promise<void> {
  await asOwner(ownerUrl, (client) => client.query(people))
  const lanes = [tables.slice(0, 3), tables.slice(3)].map((lane) =>
    asOwner(ownerUrl, async (client) => {
      await client.query("set maintenance_work_mem = '128MB'")
      for (const [table, statement] of lane) await fillTable(client, table, statement)
    }),
  )
  await Promise.all(lanes)
}

/** Foreign keys are not what is looked at here, and looking each one up takes as long as the rows themselves. */
async function fillTable(client: pg.Client, table: string, statement: string): Promise<void> {
  const { rows: keys } = await client.query<{ name: string }>(
    `select conname as name from pg_constraint where conrelid = $1::regclass and contype = 'f'`,
    [table],
  )
  const { rows: indexes } = await client.query<{ name: string; definition: string }>(
    `select i.indexrelid::regclass::text as name, pg_get_indexdef(i.indexrelid) as definition
     from pg_index i where i.indrelid = $1::regclass and not i.indisprimary`,
    [table],
  )
  for (const { name } of keys) await client.query(`alter table ${table} drop constraint ${name}`)
  for (const { name } of indexes) await client.query(`drop index ${name}`)
  await client.query(`alter table ${table} disable trigger user`)
  await client.query(statement)
  for (const { definition } of indexes) await client.query(definition)
  await client.query(`analyze ${table}`)
}

/** The id of a record: ascending with its number, as those of the product ascend with time. */
const id = (kind: number | string, number = 'i') =>
  `('00000000-0000-7000-8000-${kind}' || lpad(to_hex(${number}), 11, '0'))::uuid`
const all = `generate_series(1, ${crowd.records}) i`
const tenant = `'${crowd.tenantId}'::uuid`
/** Three a minute over the last weeks, and now and then one that was imported with others in the same moment. */
const created = `timestamptz '2026-09-01' + make_interval(secs => (i - i % 100 * (i / 1000 % 10 = 0)::integer) * 20)`
const common = `created_at, updated_at, created_by_id, external_id`
const commonValues = `${created}, ${created} + make_interval(secs => i % 977), ${id(1, 'i % 20')}, case when i % 3 = 0 then 'row ' || i end`
/** A few own nearly everything, and one who left owns five. */
const owner = `case when i < 6 then ${id(1, '19')} else ${id(1, '(i % 10) * (i % 7) % 18')} end`

const people = `
  insert into accounts (id, email, password_hash) select ${id(9)}, 'crowd' || i || '@example.com', '' from generate_series(0, 19) i;
  insert into tenants (id, name) values (${tenant}, 'Crowd');
  insert into tenants (id, name) select ${id(8)}, 'Neighbour ' || i from generate_series(1, ${crowd.neighbours}) i;
  insert into users (tenant_id, id, account_id, name, email, created_at, updated_at)
    select ${tenant}, ${id(1)}, ${id(9)}, 'User ' || i, 'crowd' || i || '@example.com', now(), now() from generate_series(0, 19) i;
  insert into pipelines (tenant_id, id, name, is_default, created_at, updated_at) values (${tenant}, ${id(2, '1')}, 'Sales', true, now(), now()),
    (${tenant}, ${id(2, '2')}, 'Partners', false, now(), now());
  insert into stages (tenant_id, id, pipeline_id, name, kind, probability, position)
    select ${tenant}, ${id(2, 'i + 10')}, ${id(2, 'case i when 5 then 2 else 1 end')}, 'Stage ' || i,
      case i when 3 then 'won' when 4 then 'lost' else 'open' end, i, i from generate_series(0, 5) i;
  insert into custom_fields (tenant_id, id, resource, key, label, field_type, options, created_at, updated_at) values
    (${tenant}, '${crowd.fields.region}', 'deal', 'region', 'Region', 'text', '[]', now(), now()),
    (${tenant}, '${crowd.fields.seats}', 'deal', 'seats', 'Seats', 'number', '[]', now(), now()),
    (${tenant}, '${crowd.fields.renewal}', 'deal', 'renewal', 'Renewal', 'date', '[]', now(), now())`

/** Values that many have, values that few have among the oldest, and none at all. */
const tables: readonly (readonly [table: string, statement: string])[] = [
  [
    'companies',
    `insert into companies (tenant_id, id, name, domain, industry, employees, annual_revenue, parent_id, founded_year, owner_id, ${common})
     select ${tenant}, ${id(3)}, 'Company ' || i % 60000, case when i % 3 = 0 then 'example' || i || '.com' when i % 3 = 1 then 'gmail.com' end,
       case when i < 8 then 'whaling' when i % 9 > 0 then (array['software', 'retail', 'health', 'finance'])[1 + i % 4] end,
       case when i % 5 > 0 then i * 7 % 1000 end, case when i % 4 > 0 then i * 13 % 50000 * 1000.5 end,
       case when i > 1000 and i % 11 = 0 then ${id(3, '1 + i % 40')} end, case when i % 3 > 0 then 1900 + i % 120 end, ${owner}, ${commonValues} from ${all}`,
  ],
  [
    'contacts',
    `insert into contacts (tenant_id, id, first_name, last_name, email, phone, company_id, job_title, stage, lead_score, owner_id, source, birthday,
       timezone, locale, do_not_contact, last_contacted_at, ${common})
     select ${tenant}, ${id(4)}, case when i % 6 > 0 then (array['Anna', 'Ben', 'Carla'])[1 + i % 3] else 'Name' || i end,
       case when i % 8 > 0 then 'Miller' || i % 3000 end, case when i % 10 > 0 then 'person' || i || '@example.com' end,
       case when i % 4 = 0 then '+4420' || i % 9000 end, case when i % 5 > 0 then ${id(3, '1 + i % 7 * (i % 2000)')} end,
       case when i < 7 then 'Whaler' when i % 3 = 0 then 'Buyer' when i % 3 = 1 then 'Title ' || i % 400 end,
       case when i < 9 then 'former' when i % 10 = 0 then 'customer' when i % 10 < 4 then 'contact' else 'prospect' end,
       case when i % 2 = 0 then i % 101 * (i % 3) end, ${owner}, case when i < 9 then 'fair' when i % 4 > 0 then 'web' end,
       case when i % 3 = 0 then date '1960-01-01' + i % 12000 end, case when i % 2 = 0 then 'Europe/Berlin' end, case when i % 2 = 0 then 'de' end,
       i < 40, case when i % 3 = 0 then ${created} + make_interval(hours => i % 500) end, ${commonValues} from ${all};
     insert into contacts (tenant_id, id, first_name, email, ${common})
     select ${id(8, `1 + i % ${crowd.neighbours}`)}, ${id(4, '900000 + i')}, 'Ned', 'ned' || i || '@example.com', ${created}, ${created}, null, null
     from generate_series(1, ${crowd.neighbours * 100}) i`,
  ],
  [
    'record_links',
    `insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'deal', 'contactIds', ${id(4, '1 + i % 5 * (i % 3000)')}, 'contact', ${created}, ${id(5)} from ${all} where i % 2 = 0;
     insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'task', 'assigneeIds', ${owner}, 'user', ${created}, ${id(6)} from ${all};
     insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'task', 'related', ${id(5, '1 + i % 5 * (i % 3000)')}, 'deal', ${created}, ${id(6)} from ${all} where i % 3 = 0;
     insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'note', 'related', ${id(5, '1 + i % 5 * (i % 3000)')}, 'deal', ${created}, ${id(7)} from ${all} where i % 3 = 0;
     insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'interaction', 'related', ${id(5, '1 + i % 5 * (i % 3000)')}, 'deal', ${created}, ${id('a')} from ${all} where i % 3 = 0;
     insert into record_links (tenant_id, record_type, member, target_id, target_type, created_at, record_id)
     select ${tenant}, 'interaction', 'participants', ${id(4, '1 + i % 5 * (i % 3000)')}, 'contact', ${created}, ${id('a')} from ${all} where i % 2 = 0`,
  ],
  [
    'deals',
    `insert into deals (tenant_id, id, name, value, value_set, currency, pipeline_id, stage_id, status, expected_close_date, closed_at, company_id, owner_id, source,
       position, stage_entered_at, rots_at, ${common})
     select ${tenant}, ${id(5)}, 'Deal ' || i % 80000, case when i % 7 > 0 then i * 17 % 90000 * 1.25 end, case when i % 7 > 0 then i * 17 % 90000 * 1.25 end,
       case when i < 9 then 'CHF' else 'USD' end, ${id(2, 'case when i < 30 then 2 else 1 end')}, ${id(2, '10 + case when i < 30 then 5 else i % 5 end')},
       case when i >= 30 and i % 5 = 3 then 'won' when i >= 30 and i % 5 = 4 then 'lost' else 'open' end,
       case when i % 3 > 0 then date '2026-09-01' + i % 400 end, case when i >= 30 and i % 5 > 2 then ${created} + make_interval(hours => i % 900) end,
       case when i % 5 > 0 then ${id(3, '1 + i % 7 * (i % 2000)')} end, ${owner}, case when i < 9 then 'fair' when i % 4 > 0 then 'web' end,
       i, ${created} + make_interval(hours => i % 700), case when i % 4 = 0 then ${created} + make_interval(hours => 336 + i % 700) end, ${commonValues} from ${all}`,
  ],
  [
    'tasks',
    `insert into tasks (tenant_id, id, title, status, priority, start_at, due_at, assignee_ids, parent_id, completed_at, ${common})
     select ${tenant}, ${id(6)}, (array['Call', 'Write', 'Visit'])[1 + i % 3] || case when i % 5 = 0 then '' else ' ' || i end,
       case when i < 9 then 'cancelled' when i % 10 = 0 then 'in_progress' when i % 10 < 8 then 'completed' else 'open' end,
       case when i < 9 then 'urgent' when i % 8 = 0 then 'high' else 'normal' end,
       case when i % 4 = 0 then ${created} end, case when i % 3 > 0 then date_trunc('hour', ${created}) + interval '9 days' end, array[${owner}],
       case when i > 1000 and i % 11 = 0 then ${id(6, '1 + i % 40')} end,
       case when i >= 9 and i % 10 between 1 and 7 then ${created} + make_interval(hours => i % 90) end, ${commonValues} from ${all}`,
  ],
  [
    'custom_values',
    `insert into custom_values (tenant_id, field_id, record_id, place, created_at, text_value)
     select ${tenant}, '${crowd.fields.region}', ${id(5)}, 0, ${created}, case when i < 9 then 'LATAM' when i % 3 = 0 then 'APAC' else 'EMEA' end from ${all} where i % 2 = 0;
     insert into custom_values (tenant_id, field_id, record_id, place, created_at, number_value)
     select ${tenant}, '${crowd.fields.seats}', ${id(5)}, 0, ${created}, i % 50 * (i % 4) from ${all} where i % 2 = 1;
     insert into custom_values (tenant_id, field_id, record_id, place, created_at, number_value)
     select ${tenant}, '${crowd.fields.renewal}', ${id(5)}, 0, ${created}, 20000 + i % 700 from ${all} where i % 5 = 1`,
  ],
  [
    'notes',
    `insert into notes (tenant_id, id, body, pinned, ${common})
     select ${tenant}, ${id(7)}, 'Note ' || i, i < 9, ${commonValues} from ${all}`,
  ],
  [
    'interactions',
    `insert into interactions (tenant_id, id, type, direction, subject, occurred_at, duration_minutes, ${common})
     select ${tenant}, ${id('a')}, case when i < 9 then 'whatsapp' when i % 3 = 0 then 'email' else 'call' end,
       case when i < 9 then 'inbound' when i % 4 > 0 then 'outbound' end, case when i % 3 > 0 then 'Subject ' || i % 50000 end,
       ${created} - make_interval(hours => i % 500), case when i % 2 = 0 then i % 90 * (i % 3) end, ${commonValues} from ${all}`,
  ],
  [
    'products',
    `insert into products (tenant_id, id, name, sku, price, currency, active, ${common})
     select ${tenant}, ${id('e')}, 'Product ' || i % 60000, case when i % 3 > 0 then 'SKU-' || i end, case when i % 7 > 0 then i * 17 % 90000 * 1.25 end,
       case when i < 9 then 'CHF' else 'USD' end, i > 8, ${commonValues} from ${all}`,
  ],
  [
    'leads',
    `insert into leads (tenant_id, id, first_name, last_name, email, phone, company_name, job_title, status, score, owner_id, source,
       converted_at, converted_contact_id, converted_company_id, converted_deal_id, ${common})
     select ${tenant}, ${id('f')}, case when i % 6 > 0 then (array['Anna', 'Ben', 'Carla'])[1 + i % 3] else 'Name' || i end,
       case when i % 8 > 0 then 'Miller' || i % 3000 end, case when i % 10 > 0 then 'person' || i || '@example.com' end,
       case when i % 4 = 0 then '+4420' || i % 9000 end, 'Company ' || i % 7000, case when i < 7 then 'Whaler' when i % 3 = 0 then 'Buyer' end,
       case when i < 9 then 'unqualified' when i % 10 < 3 then 'converted' when i % 10 = 3 then 'contacted' else 'new' end,
       case when i % 2 = 0 then i % 101 * (i % 3) end, ${owner}, case when i < 9 then 'fair' when i % 4 > 0 then 'web' end,
       case when i >= 9 and i % 10 < 3 then ${created} + make_interval(hours => i % 500) end, case when i >= 9 and i % 10 < 3 then ${id(4)} end,
       case when i >= 9 and i % 10 < 3 then ${id(3, '1 + i % 40')} end, case when i >= 9 and i % 10 < 2 then ${id(5)} end, ${commonValues} from ${all}`,
  ],
  [
    'teams',
    `insert into teams (tenant_id, id, name, manager_id, parent_id, ${common})
     select ${tenant}, ${id('b')}, 'Team ' || i, case when i % 3 > 0 then ${owner} end,
       case when i < 9 then ${id('b', '9')} when i % 4 > 0 then ${id('b', '10 + i % 90')} end, ${commonValues} from ${all}`,
  ],
  [
    'users',
    `insert into users (tenant_id, id, account_id, name, email, role, role_id, team_id, manager_id, active, ${common})
     select ${tenant}, ${id('c')}, ${id('c')}, 'Member ' || i % 60000, 'member' || i || '@example.com',
       case when i < 9 then 'viewer' when i % 10 = 0 then 'manager' else 'member' end,
       case when i < 9 then ${id(2, '20')} when i % 3 = 0 then ${id(2, '21 + i % 5')} end,
       case when i < 9 then ${id('b', '5')} when i % 5 > 0 then ${id('b', '10 + i % 90')} end, ${owner}, i > 8, ${commonValues} from ${all}`,
  ],
  [
    'tags',
    `insert into tags (tenant_id, id, name, ${common})
     select ${tenant}, ${id('d')}, 'tag ' || i, ${commonValues} from ${all}`,
  ],
  [
    'record_tags',
    ['company', 'contact', 'deal', 'task', 'note']
      .map(
        (type, index) => `insert into record_tags (tenant_id, record_type, tag, created_at, record_id)
         select ${tenant}, '${type}', case when i < 9 then 'rare' when i % 3 = 0 then 'vip' else 'new' end, ${created}, ${id(index + 3)} from ${all} where i % 4 = 0`,
      )
      .concat(
        (
          [
            ['interaction', 'a'],
            ['product', 'e'],
            ['lead', 'f'],
          ] as const
        ).map(
          ([type, kind]) => `insert into record_tags (tenant_id, record_type, tag, created_at, record_id)
         select ${tenant}, '${type}', case when i < 9 then 'rare' when i % 3 = 0 then 'vip' else 'new' end, ${created}, ${id(kind)} from ${all} where i % 4 = 0`,
        ),
      )
      .join(';'),
  ],
]
