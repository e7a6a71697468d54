import { defineEntity } from '../../kernel/entity/define.ts'
import { choice, customFields, integer, longText, related, tags, text, time } from '../../kernel/entity/fields.ts'
import { recordTypes } from '../records.ts'

const nameless: Readonly<Record<string, string>> = {
  call: 'Call',
  meeting: 'Meeting',
  email: 'Email',
  sms: 'SMS',
  whatsapp: 'WhatsApp message',
  other: 'Interaction',
}

/** What was said to whom: a call, a meeting, a message. It moves `lastContactedAt` of the contacts that took part. */
export const interaction = defineEntity({
  type: 'interaction',
  path: 'interactions',
  fields: {
    type: choice(['call', 'meeting', 'email', 'sms', 'whatsapp', 'other'], { required: true }),
    direction: choice(['inbound', 'outbound']),
    subject: text({ max: 500, sort: true, searched: 'A' }),
    body: longText({ searched: 'C', filter: [] }),
    occurredAt: time({ neverNull: true, sort: true, describe: 'Absent: now' }),
    durationMinutes: integer({ min: 0, max: 100_000, sort: true }),
    participants: related(['contact', 'lead', 'user'], { describe: 'Who took part' }),
    related: related(recordTypes, {
      describe: 'What it is about',
    }),
    tags: tags(),
    customFields: customFields(),
  },
  title: (record) => String(record.subject ?? nameless[String(record.type)] ?? ''),
  searchable: true,
  shareable: true,
  example: { type: 'call', direction: 'outbound', subject: 'Asked about the offer', durationMinutes: 12 },
})
