import { z } from 'zod'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import { idSchema } from '../../kernel/entity/fields.ts'
import { forbidden, invalidMember } from '../../kernel/errors.ts'
import { cursorSchema, limitSchema, paged, pageOf, readPlace } from '../../kernel/http/page.ts'
import { type Route, route } from '../../kernel/http/route.ts'
import type { Action } from '../../kernel/rights.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { type Made, makeMachine, revokeMachine, rotateSecret } from './machine.actions.ts'
import { listMachines } from './machine.queries.ts'
import { type KindOfMachine, machineSchema, newMachineSchema, rotationSchema } from './machine.ts'

const defaultOverlap = 24
const place = z.tuple([idSchema])

/** Listing, making, rotating and revoking the machines of a kind. */
export function machineRoutes(db: Database, what: KindOfMachine, resources: ReadonlySet<string>): Route[] {
  const { kind, path, tag, name, spoken, secretMember } = what
  const record = machineSchema.meta({ id: name }).register(sight, apart)
  const made = machineSchema
    .extend({
      [secretMember]: z.string().meta({ description: 'Shown this once: we keep a hash only' }),
      ...(kind === 'service_account' ? { clientId: z.uuid() } : {}),
    })
    .meta({ id: `New${name}` })
    .register(sight, apart)
  const answer = ({ machine, secret }: Made) => ({
    ...machine,
    [secretMember]: secret,
    ...(kind === 'service_account' ? { clientId: machine.id } : {}),
  })
  const allow = (ctx: Ctx, action: Action) => {
    if (ctx.rights.scope(kind, action) === 'none') throw forbidden(`Your role may not ${verbs[action]} a ${spoken}`)
  }
  return [
    route({
      method: 'get',
      path,
      operationId: `list${name}`,
      summary: `Every ${spoken} of the tenant`,
      tag,
      query: z.strictObject({ limit: limitSchema, cursor: cursorSchema }),
      responses: { 200: { description: 'A page', schema: pageOf(record) } },
      handle: async (ctx, { query }) => {
        allow(ctx, 'read')
        const { limit = 50, cursor } = query
        const list = `${kind} ${ctx.tenantId}`
        const [after = null] = readPlace(cursor, list, place) ?? []
        const rows = await listMachines(db.tenant(ctx), kind, { after, limit: limit + 1 })
        return { status: 200, body: paged(rows, limit, list, ({ id }) => [id]) }
      },
    }),
    route({
      method: 'post',
      path,
      operationId: `create${name}`,
      summary: `Make a ${spoken}`,
      tag,
      idempotency: 'none',
      body: newMachineSchema,
      responses: { 201: { description: 'Made; its secret is shown this once', schema: made } },
      handle: async (ctx, { body }) => {
        allow(ctx, 'create')
        refuseUnknown(body.scopes, resources)
        return { status: 201, body: answer(await db.transaction(ctx, (tx) => makeMachine(tx, kind, body))) }
      },
    }),
    route({
      method: 'post',
      path: `${path}/{id}/rotate`,
      operationId: `rotate${name}`,
      summary: `Give a ${spoken} another secret`,
      tag,
      idempotency: 'none',
      params: z.object({ id: idSchema }),
      body: rotationSchema,
      responses: { 200: { description: 'Rotated; the new secret is shown this once', schema: made } },
      handle: async (ctx, { params, body }) => {
        allow(ctx, 'update')
        const hours = body?.overlapHours ?? defaultOverlap
        return {
          status: 200,
          body: answer(await db.transaction(ctx, (tx) => rotateSecret(tx, kind, params.id, hours))),
        }
      },
    }),
    route({
      method: 'delete',
      path: `${path}/{id}`,
      operationId: `delete${name}`,
      summary: `Revoke a ${spoken}`,
      tag,
      params: z.object({ id: idSchema }),
      responses: { 204: { description: 'Revoked: it is refused within a second, everywhere', schema: null } },
      handle: async (ctx, { params }) => {
        allow(ctx, 'delete')
        await db.transaction(ctx, (tx) => revokeMachine(tx, kind, params.id))
        return { status: 204 }
      },
    }),
  ]
}

const verbs: Readonly<Record<Action, string>> = { read: 'see', create: 'make', update: 'rotate', delete: 'revoke' }

/** A scope of a resource that does not exist would hold nothing, and nobody would notice. */
function refuseUnknown(scopes: readonly string[], resources: ReadonlySet<string>): void {
  for (const [index, scope] of scopes.entries()) {
    const [resource = ''] = scope.split(':')
    if (resource !== '*' && !resources.has(resource))
      throw invalidMember(`scopes.${index}`, `must be of a resource that there is: ${[...resources].sort().join(', ')}`)
  }
}
