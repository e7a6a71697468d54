import { raw, type Sql } from 'sql-template-tag'
import { z } from 'zod'
import { timeSql } from '../../kernel/db/print-time.ts'
import { filledSchema } from '../../kernel/entity/fields.ts'
import { apart, sight } from '../../kernel/sight.ts'

/** The text of a comment: Markdown, in which `@[Name](userId)` mentions somebody. */
export const bodySchema = filledSchema(20_000)

/** The shape of a comment. */
export const commentSchema = z
  .object({
    id: z.uuid(),
    entityType: z.string(),
    entityId: z.uuid(),
    body: z.string(),
    authorId: z.uuid().nullable(),
    mentions: z.array(z.uuid()),
    editedAt: z.iso.datetime({ precision: 3 }).nullable(),
    createdAt: z.iso.datetime({ precision: 3 }),
    updatedAt: z.iso.datetime({ precision: 3 }),
    version: z.int(),
  })
  .meta({
    id: 'Comment',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a91',
      entityType: 'deal',
      entityId: '0192f0c1-1b2c-7c44-8e21-6f0d9b3a5c11',
      body: 'They want it **before Christmas**, @[Grace Hopper](0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77).',
      authorId: '0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c78',
      mentions: ['0192f0c0-55aa-7b10-b3c4-2e1f0a9d8c77'],
      editedAt: null,
      createdAt: '2026-11-21T08:00:00.000Z',
      updatedAt: '2026-11-21T08:00:00.000Z',
      version: 1,
    },
  })
  // What people say they say to all who read the record.
  .register(sight, apart)

/** A comment as the API shows it. */
export type Comment = z.output<typeof commentSchema>

/** What a comment said before one of its edits. */
export const formerSchema = z
  .object({ version: z.int(), body: z.string(), writtenAt: z.iso.datetime({ precision: 3 }) })
  .meta({ id: 'FormerComment' })
  .register(sight, apart)

/** A mention as it stands in the text. */
export interface Mention {
  readonly userId: string
  readonly text: string
}

/** Who is mentioned in a text, each once. What is no id is no mention: `@[docs](https://…)` is a link. */
export function mentionsOf(body: string): Mention[] {
  const found = new Map<string, Mention>()
  for (const [text, id = ''] of body.matchAll(mention)) {
    const userId = id.toLowerCase()
    if (!found.has(userId)) found.set(userId, { userId, text })
  }
  return [...found.values()]
}

const mention = /@\[[^\]\n]{0,200}\]\(([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\)/gi

/** SQL that prints a time of ours as the API shows it. */
/** SQL that prints the comment of alias `c` as json. */
export const printedComment: Sql = raw(
  `json_build_object('id', c.id, 'entityType', c.entity_type, 'entityId', c.entity_id, 'body', c.body, 'authorId', c.author_id,
    'mentions', to_json(c.mentions), 'editedAt', ${timeSql('c.edited_at')}, 'createdAt', ${timeSql('c.created_at')},
    'updatedAt', ${timeSql('c.updated_at')}, 'version', c.version)`,
)

/** SQL that prints the former text of alias `f` as json. */
export const printedFormer: Sql = raw(
  `json_build_object('version', f.version, 'body', f.body, 'writtenAt', ${timeSql('f.written_at')})`,
)
