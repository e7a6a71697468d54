import sql from 'sql-template-tag'
import { z } from 'zod'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { type Entity, named } from '../../kernel/entity/define.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { forbidden, invalidMember, notFound } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import type { Belonging, Rights } from '../../kernel/rights.ts'
import { apart, excerpt, sight } from '../../kernel/sight.ts'
import { explain } from './explain.ts'
import { readShares } from './shares.queries.ts'

/** What explaining rights needs. */
export interface AccessDeps {
  readonly db: Database
  readonly entities: ReadonlyMap<string, Entity>
  repository(type: string): Repository
  /** What users may do now; undefined for who is not there. */
  rightsOf(
    users: readonly { tenantId: string; id: string }[],
  ): Promise<(user: { tenantId: string; id: string }) => Rights | undefined>
}

const actions = ['read', 'create', 'update', 'delete'] as const

const stepSchema = z
  .object({
    rule: z.enum(['member', 'role', 'holder', 'share', 'fields']),
    holds: z.boolean().nullable(),
    because: z.string(),
  })
  .meta({ id: 'AccessStep' })

const holderSchema = z
  .object({
    userId: z.uuid(),
    name: z.string(),
    role: z.string().optional(),
    actions: z.array(z.enum(actions)),
    because: z.string(),
  })
  .meta({ id: 'AccessHolder' })
  .register(sight, excerpt('user'))

/** `GET /{r}/{id}/access`: who may see a record, and why. */
export function accessRoute(deps: AccessDeps, entity: Entity): Route {
  const { db, repository, rightsOf } = deps
  return route({
    method: 'get',
    path: `/${entity.path}/{id}/access`,
    operationId: `listAccess${named(entity.type)}`,
    summary: `Who may see a ${entity.type}, and why`,
    description: 'A page looks at as many users as `limit` says, and tells those of them who may read the record.',
    tag: entity.path,
    params: z.object({ id: idSchema }),
    query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
    responses: { 200: { description: 'A page of users', schema: pageOf(holderSchema) } },
    handle: async (ctx, { params, query }) => {
      const tx = db.tenant(ctx)
      const belonging = await belongingNow(tx, repository(entity.type), params.id)
      const limit = query.limit ?? 50
      const list = `access ${ctx.tenantId} ${params.id}`
      const [after = null] = readPlace(query.cursor, list, z.tuple([idSchema])) ?? []
      const users = await tx.query<{ id: string; name: string; role: string }>(sql`
        select id, name, coalesce((select o.name from roles o where o.tenant_id = u.tenant_id and o.id = u.role_id), role) as role
        from users u where tenant_id = ${ctx.tenantId} and active and deleted_at is null
          and (${after}::uuid is null or id > ${after}::uuid) order by id limit ${limit + 1}`)
      const { data, page } = paged(users, limit, list, ({ id }) => [id])
      const rights = await rightsOf(data.map(({ id }) => ({ tenantId: ctx.tenantId, id })))
      const seeing = data.flatMap(({ id, name, role }) => {
        const theirs = rights({ tenantId: ctx.tenantId, id })
        const read = explain(theirs, entity, 'read', belonging)
        if (!read.allowed) return []
        const may = actions.filter(
          (action) => action !== 'create' && explain(theirs, entity, action, belonging).allowed,
        )
        const because = read.steps.findLast(({ rule, holds }) => holds && rule !== 'fields')?.because ?? ''
        return [{ userId: id, name, role, actions: may, because }]
      })
      return { status: 200, body: { data: seeing, page } }
    },
  })
}

/** `GET /access/explain`: rule by rule why a user may or may not. Of others administrators ask. */
export function explainRoute(deps: AccessDeps): Route {
  const { db, entities, repository, rightsOf } = deps
  return route({
    method: 'get',
    path: '/access/explain',
    operationId: 'explainAccess',
    summary: 'Why a user may or may not do something, rule by rule',
    tag: 'access',
    query: z.strictObject({
      userId: idSchema,
      type: z.enum([...entities.keys()]),
      action: z.enum(actions),
      id: idSchema.optional(),
    }),
    responses: {
      200: {
        description: 'The verdict, and each rule in the order in which it was asked',
        schema: z
          .object({ allowed: z.boolean(), rules: z.array(stepSchema) })
          .meta({ id: 'AccessExplanation' })
          .register(sight, apart),
      },
    },
    problems: [404],
    handle: async (ctx, { query: { userId, type, action, id } }) => {
      if (userId !== ctx.actor.id && ctx.rights.scope('user', 'update') !== 'all')
        throw forbidden('Only administrators ask for the rights of others')
      const entity = entities.get(type)
      if (!entity) throw notFound()
      const tx = db.tenant(ctx)
      const [user] = await tx.query(sql`
        select 1 from users where tenant_id = ${ctx.tenantId} and id = ${userId} and deleted_at is null`)
      if (!user) throw invalidMember('userId', 'must be the id of a user')
      const asked = id === undefined ? null : await belongingNow(tx, repository(type), id)
      const rights = await rightsOf([{ tenantId: ctx.tenantId, id: userId }])
      const { allowed, steps } = explain(rights({ tenantId: ctx.tenantId, id: userId }), entity, action, asked)
      return { status: 200, body: { allowed, rules: steps } }
    },
  })
}

/** Whose a record is now; 404 when the caller may not read it. */
async function belongingNow(tx: Tx, records: Repository, id: string): Promise<Belonging> {
  const record = JSON.parse((await records.get(tx, id)).json)
  return belongingOf(records.entity, record, await readShares(tx, records.entity.type, id))
}
