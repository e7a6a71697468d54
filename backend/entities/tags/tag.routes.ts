import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { rule } from '../../kernel/errors.ts'
import { readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'

/** What is special about tags: one that records hold cannot go. */
export function tagRoutes(db: Database, tags: Repository, { entities }: Registry): Route[] {
  return [
    route({
      method: 'delete',
      path: '/tags/{id}',
      operationId: 'deleteTag',
      summary: 'Delete a tag that no record holds',
      tag: 'tags',
      params: z.object({ id: idSchema }),
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412, 422],
      handle: async (ctx, { params, header }) => {
        await db.transaction(ctx, async (tx) => {
          const { name } = JSON.parse((await tags.get(tx, params.id)).json)
          const types = [...entities.values()].filter(({ all }) => all.tags).map(({ type }) => type)
          const [held] = await tx.query(sql`
            select 1 from record_tags where tenant_id = ${ctx.tenantId} and record_type = any(${types}) and tag = ${name} limit 1`)
          if (held) throw rule('TAG_IN_USE', 'Take the tag off its records first')
          await tags.remove(tx, params.id, readIfMatch(header('If-Match')))
        })
        return { status: 204 }
      },
    }),
  ]
}
