import { z } from 'zod'
import { address } from '../../kernel/entity/address.ts'
import { defineEntity } from '../../kernel/entity/define.ts'
import {
  choice,
  customFields,
  date,
  email,
  emailKey,
  flag,
  instantSchema,
  integer,
  json,
  list,
  mergeable,
  phone,
  ref,
  tags,
  text,
  textSchema,
  time,
} from '../../kernel/entity/fields.ts'
import { locale, timezone } from '../../kernel/entity/places.ts'
import { hasRules } from '../scoring-rules/scoring-rule.entity.ts'

const consents = {
  email: z.boolean(),
  sms: z.boolean(),
  whatsapp: z.boolean(),
  phone: z.boolean(),
  givenAt: instantSchema,
  source: textSchema(255),
}

/** A person whom the team knows. */
export const contact = defineEntity({
  type: 'contact',
  path: 'contacts',
  fields: {
    firstName: text({ sort: true, searched: 'A' }),
    lastName: text({ sort: true, searched: 'A' }),
    name: text({
      max: 511,
      readOnly: true,
      sort: true,
      default: '',
      describe: 'First and last name, else the email address',
    }),
    lastContactedAt: time({ readOnly: true, sort: true }),
    email: email({ sort: true, searched: 'B', normal: emailKey }),
    emails: list('email', { searched: 'C', from: ['email'] }),
    phone: phone({ searched: 'B' }),
    phones: list('phone', { searched: 'C', from: ['phone'] }),
    companyId: ref('company', { include: 'company' }),
    jobTitle: text({ searched: 'C', pickList: 'job-title' }),
    stage: choice(['prospect', 'contact', 'customer', 'former'], { default: 'prospect' }),
    leadScore: integer({
      min: 0,
      max: 1_000_000,
      sort: true,
      derivedWhile: hasRules('contact'),
      describe: 'Worked out, and read-only, as long as there are scoring rules',
    }),
    ownerId: ref('user', { include: 'owner', absent: 'actor' }),
    source: text({ max: 100, pickList: 'source' }),
    address: address(),
    birthday: date({ sort: true }),
    timezone: timezone(),
    locale: locale(),
    consent: json<unknown>(z.strictObject(consents).partial(), {
      merge: mergeable(consents),
      parts: { email: flag(), sms: flag(), whatsapp: flag(), phone: flag(), givenAt: time(), source: text() },
    }),
    doNotContact: flag(),
    tags: tags(),
    customFields: customFields(),
  },
  requireOneOf: ['firstName', 'lastName', 'email'],
  namedBy: ['email', 'externalId'],
  title: (record) => String(record.name ?? ''),
  nameFrom: [['firstName', 'lastName'], ['email']],
  subtitle: 'companyId',
  heldBy: ['ownerId'],
  shareable: true,
  verbs: [
    { verb: 'assigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is not null' },
    { verb: 'unassigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is null' },
    { verb: 'contacted', when: "n.last_contacted_at > coalesce(o.last_contacted_at, '-infinity')" },
  ],
  searchable: true,
  sameness: {
    email: ['email', 'emails'],
    phone: ['phone', 'phones'],
    name: { of: 'person', members: ['firstName', 'lastName'] },
    spare: { email: 'emails', phone: 'phones' },
    any: ['doNotContact'],
  },
  example: {
    firstName: 'Ada',
    lastName: 'Lovelace',
    email: 'ada@example.com',
    stage: 'prospect',
    jobTitle: 'Analyst',
    tags: ['vip'],
  },
})
