import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { recordAnswer } from '../../kernel/entity/answer.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { invalid, rule } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { customField, definitionErrors } from './custom-field.entity.ts'

/** What is special about custom fields: a change must leave a definition that fits together. */
export function customFieldRoutes({ db, records: customFields }: { db: Database; records: Repository }): Route[] {
  return [
    route({
      method: 'patch',
      path: '/custom-fields/{id}',
      operationId: 'updateCustomField',
      summary: 'Change members of a custom_field',
      description: 'Merge semantics: absent leaves, null clears, a value sets.',
      tag: 'custom-fields',
      params: z.object({ id: idSchema }),
      body: customField.patchSchema,
      responses: { 200: { description: 'The custom_field', schema: customField.recordSchema, headers: ['ETag'] } },
      problems: [409, 412, 422],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        const changed = await db.transaction(ctx, async (tx) => {
          await lock(tx, params.id)
          const before = JSON.parse((await customFields.get(tx, params.id)).json)
          const { options = before.options, default: preset = before.default } = body
          const errors = definitionErrors({ ...before, options, default: preset })
          if (errors.length > 0) throw invalid(errors)
          if (Array.isArray(options)) await refuseHeldOptions(tx, params.id, optionsGone(before.options, options))
          return customFields.update(tx, params.id, body, { expected })
        })
        return recordAnswer(changed)
      },
    }),
  ]
}

/** Options and default are two members: who changes one waits for who changes the other. */
const lock = (tx: Tx, id: string) =>
  tx.query(sql`select 1 from custom_fields where tenant_id = ${tx.ctx.tenantId} and id = ${id} for update`)

const optionsGone = (before: readonly string[], after: readonly unknown[]): string[] =>
  before.filter((option) => !after.includes(option))

/** A record that holds an option could no longer be sent back. */
async function refuseHeldOptions(tx: Tx, id: string, options: readonly string[]): Promise<void> {
  if (options.length === 0) return
  const [held] = await tx.query<{ option: string }>(sql`
    select text_value as option from custom_values
    where tenant_id = ${tx.ctx.tenantId} and field_id = ${id} and text_value = any(${options}) limit 1`)
  if (held) throw rule('OPTION_IN_USE', `There are records with the option ${held.option}: change them first`)
}
