import { address } from '../../kernel/entity/address.ts'
import { defineEntity } from '../../kernel/entity/define.ts'
import {
  currency,
  customFields,
  integer,
  money,
  nameKey,
  phone,
  ref,
  tags,
  text,
  url,
} from '../../kernel/entity/fields.ts'

/** An organisation that the team sells to; may belong to another one. */
export const company = defineEntity({
  type: 'company',
  path: 'companies',
  fields: {
    name: text({ required: true, sort: true, searched: 'A', normal: nameKey }),
    domain: text({ max: 253, searched: 'B', example: 'example.com' }),
    website: url({ filter: ['isNull'] }),
    industry: text({ max: 100, sort: true, searched: 'C', pickList: 'industry' }),
    employees: integer({ min: 0, sort: true }),
    annualRevenue: money({ sort: true, sortColumn: 'annual_revenue_units' }),
    currency: currency({ filter: [] }),
    phone: phone({ searched: 'B', filter: ['isNull'] }),
    address: address(),
    parentId: ref('company', { include: 'parent' }),
    foundedYear: integer({ min: 1, max: 9999, sort: true }),
    ownerId: ref('user', { include: 'owner', absent: 'actor' }),
    tags: tags(),
    customFields: customFields(),
  },
  namedBy: ['name', 'domain', 'externalId'],
  title: (record) => String(record.name ?? ''),
  subtitle: 'parentId',
  heldBy: ['ownerId'],
  shareable: true,
  verbs: [
    { verb: 'assigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is not null' },
    { verb: 'unassigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is null' },
  ],
  searchable: true,
  sameness: {
    phone: ['phone'],
    domain: ['domain', 'website'],
    name: { of: 'organisation', members: ['name'] },
  },
  example: { name: 'Analytical Engines Ltd', domain: 'engines.example.com', industry: 'technology', employees: 120 },
})
