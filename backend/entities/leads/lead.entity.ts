import { address } from '../../kernel/entity/address.ts'
import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, customFields, email, integer, phone, ref, tags, text, time } from '../../kernel/entity/fields.ts'
import { hasRules } from '../scoring-rules/scoring-rule.entity.ts'

/** Somebody who may become a customer. Converted, it becomes a contact, a company and a deal, and stays as it was. */
export const lead = defineEntity({
  type: 'lead',
  path: 'leads',
  fields: {
    firstName: text({ sort: true, searched: 'A' }),
    lastName: text({ sort: true, searched: 'A' }),
    name: text({
      max: 511,
      readOnly: true,
      sort: true,
      default: '',
      describe: 'First and last name, else the company, else the email address',
    }),
    email: email({ sort: true, searched: 'B' }),
    phone: phone({ searched: 'B' }),
    companyName: text({ sort: true, searched: 'B' }),
    jobTitle: text({ searched: 'C', pickList: 'job-title' }),
    source: text({ max: 100, pickList: 'source' }),
    status: choice(['new', 'contacted', 'qualified', 'unqualified', 'converted'], {
      default: 'new',
      describe: '`converted` by the verb alone',
    }),
    score: integer({
      min: 0,
      max: 1_000_000,
      sort: true,
      derivedWhile: hasRules('lead'),
      describe: 'Worked out, and read-only, as long as there are scoring rules',
    }),
    ownerId: ref('user', { include: 'owner', absent: 'actor' }),
    address: address(),
    convertedAt: time({ readOnly: true, sort: true }),
    convertedContactId: ref('contact', { readOnly: true, include: 'convertedContact', filter: ['eq', 'in'] }),
    convertedCompanyId: ref('company', { readOnly: true, include: 'convertedCompany', filter: ['eq', 'in'] }),
    convertedDealId: ref('deal', { readOnly: true, include: 'convertedDeal', filter: ['eq', 'in'] }),
    tags: tags(),
    customFields: customFields(),
  },
  requireOneOf: ['lastName', 'email', 'companyName'],
  title: (record) => String(record.name ?? ''),
  nameFrom: [['firstName', 'lastName'], ['companyName'], ['email']],
  heldBy: ['ownerId'],
  shareable: true,
  verbs: [
    { verb: 'converted', when: "n.status = 'converted' and o.status <> 'converted'" },
    { verb: 'assigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is not null' },
    { verb: 'unassigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is null' },
  ],
  searchable: true,
  sameness: { email: ['email'], phone: ['phone'], name: { of: 'person', members: ['firstName', 'lastName'] } },
  example: {
    firstName: 'Ada',
    lastName: 'Lovelace',
    email: 'ada@engines.example.com',
    companyName: 'Analytical Engines Ltd',
    source: 'fair',
  },
})
