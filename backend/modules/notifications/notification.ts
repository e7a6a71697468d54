import sql, { raw, type Sql } from 'sql-template-tag'
import { z } from 'zod'
import { timeSql } from '../../kernel/db/print-time.ts'
import { apart, sight } from '../../kernel/sight.ts'

/** The shape of an entry of the inbox. */
export const notificationSchema = z
  .object({
    id: z.uuid(),
    type: z.string(),
    title: z.string(),
    message: z.string(),
    priority: z.enum(['low', 'normal', 'high', 'urgent']),
    entityType: z.string().nullable(),
    entityId: z.uuid().nullable(),
    actionLabel: z.string().nullable(),
    actionUrl: z.string().nullable(),
    data: z.record(z.string(), z.unknown()),
    read: z.boolean(),
    readAt: z.iso.datetime({ precision: 3 }).nullable(),
    snoozedUntil: z.iso.datetime({ precision: 3 }).nullable(),
    expiresAt: z.iso.datetime({ precision: 3 }).nullable(),
    createdAt: z.iso.datetime({ precision: 3 }),
  })
  .meta({
    id: 'Notification',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a91',
      type: 'deal.won',
      title: 'Deal won',
      message: 'Ada Lovelace won the deal “200 engines”',
      priority: 'normal',
      entityType: 'deal',
      entityId: '0192f0c1-1b2c-7c44-8e21-6f0d9b3a5c11',
      actionLabel: 'Open the deal',
      actionUrl: '/deals/0192f0c1-1b2c-7c44-8e21-6f0d9b3a5c11',
      data: {},
      read: false,
      readAt: null,
      snoozedUntil: null,
      expiresAt: null,
      createdAt: '2026-11-21T08:00:00.000Z',
    },
  })
  // Its sentences name records by their titles, which no role hides.
  .register(sight, apart)

/** An entry of the inbox, as the API and the sockets show it. */
export type Notification = z.output<typeof notificationSchema>

/** SQL that prints the row of alias `n` as jsonb. */
export const printed: Sql = sql`jsonb_build_object(
  'id', n.id, 'type', n.type, 'title', n.title, 'message', n.message, 'priority', n.priority,
  'entityType', n.entity_type, 'entityId', n.entity_id, 'actionLabel', n.action_label, 'actionUrl', n.action_url,
  'data', n.data, 'read', n.read_at is not null,
  'readAt', ${raw(timeSql('n.read_at'))},
  'snoozedUntil', ${raw(timeSql('n.snoozed_until'))},
  'expiresAt', ${raw(timeSql('n.expires_at'))},
  'createdAt', ${raw(timeSql('n.created_at'))})`
