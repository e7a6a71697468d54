import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { etagOf, readIfMatch } from '../../kernel/http/etag.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { setShares } from './shares.actions.ts'
import { type GrantedShare, readShares } from './shares.queries.ts'

/** With how many a record can be shared. */
const mostShares = 100

const wantedSchema = z
  .strictObject({ userId: idSchema.optional(), teamId: idSchema.optional(), access: z.enum(['read', 'write']) })
  .refine(({ userId, teamId }) => (userId === undefined) !== (teamId === undefined), {
    message: 'must name either a userId or a teamId',
  })
  .transform(({ userId, teamId, access }) =>
    userId === undefined
      ? { kind: 'team' as const, id: teamId ?? '', access }
      : { kind: 'user' as const, id: userId, access },
  )

const sharesSchema = z
  .object({
    shares: z.array(
      z.object({
        userId: z.uuid().optional(),
        teamId: z.uuid().optional(),
        name: z.string(),
        access: z.enum(['read', 'write']),
        sharedById: z.uuid().nullable(),
        sharedAt: z.iso.datetime({ precision: 3 }),
      }),
    ),
  })
  .meta({ id: 'Shares' })
  .register(sight, apart)

/** With whom a record is shared: read by who reads it, set by those to whom it belongs. */
export function sharesRoutes(db: Database, records: Repository): Route[] {
  const { type, path } = records.entity
  const params = z.object({ id: idSchema })
  return [
    route({
      method: 'get',
      path: `/${path}/{id}/shares`,
      operationId: `listShares${named(type)}`,
      summary: `With whom a ${type} is shared`,
      tag: path,
      params,
      responses: { 200: { description: 'All its shares', schema: sharesSchema } },
      handle: async (ctx, { params }) => {
        const tx = db.tenant(ctx)
        await records.get(tx, params.id, ['id'])
        return { status: 200, body: { shares: (await readShares(tx, type, params.id)).map(shown) } }
      },
    }),
    route({
      method: 'put',
      path: `/${path}/{id}/shares`,
      operationId: `setShares${named(type)}`,
      summary: `Share a ${type} with users and teams`,
      description:
        'The whole list: who is not in it has the record no longer by a share. A share lets those who may read or change such records at all do so with this one; it lets nobody delete it, share it further or say whose it is.',
      tag: path,
      params,
      body: z.strictObject({
        shares: z
          .array(wantedSchema)
          .max(mostShares)
          .refine((shares) => new Set(shares.map(({ id }) => id)).size === shares.length, {
            message: 'must not name anybody twice',
          }),
      }),
      responses: { 200: { description: 'All its shares', schema: sharesSchema, headers: ['ETag'] } },
      problems: [412],
      handle: async (ctx, { params, body, header }) =>
        db.transaction(ctx, async (tx) => {
          const expected = readIfMatch(header('If-Match'))
          const { stored, shares } = await setShares(tx, records, params.id, body.shares, expected)
          return { status: 200, body: { shares: shares.map(shown) }, headers: { ETag: etagOf(stored.version) } }
        }),
    }),
  ]
}

const shown = ({ kind, id, name, access, sharedById, sharedAt }: GrantedShare) => ({
  [kind === 'user' ? 'userId' : 'teamId']: id,
  name,
  access,
  sharedById,
  sharedAt,
})
