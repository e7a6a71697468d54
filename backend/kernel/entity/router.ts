import { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { Database } from '../db/database.ts'
import { invalidMember, notFound, stale } from '../errors.ts'
import { parsePart } from '../http/body.ts'
import { readIfMatch } from '../http/etag.ts'
import { replayed } from '../http/idempotency.ts'
import { pageOf } from '../http/page.ts'
import { asProblem } from '../http/problem.ts'
import { type Answer, JsonText, type Route, route } from '../http/route.ts'
import { answerRecord, recordAnswer } from './answer.ts'
import { bulkRoute } from './bulk.ts'
import { type Entity, named } from './define.ts'
import { refuseHidden, refuseUnwritable } from './field-rules.ts'
import { idSchema } from './fields.ts'
import { readMembers } from './list-query.ts'
import { type Lister, withIncludes } from './lister.ts'
import { listParameters, recordParameters } from './parameters.ts'
import type { Registry } from './registry.ts'
import type { Repository } from './repository.ts'

/** Which of the engine's routes a noun offers. */
export type Offer =
  | 'list'
  | 'get'
  | 'create'
  | 'update'
  | 'replace'
  | 'delete'
  | 'restore'
  | 'archive'
  | 'bulk'
  | 'upsert'

/** All that the contract says of a CRM record. */
export const everything: readonly Offer[] = [
  'list',
  'get',
  'create',
  'update',
  'replace',
  'delete',
  'restore',
  'archive',
  'bulk',
  'upsert',
]

/** The REST routes of a noun, from its definition. */
export function entityRoutes(
  deps: { db: Database; registry: Registry; repository: Repository; list: Lister },
  offers: readonly Offer[],
): Route[] {
  const { db, registry, repository, list } = deps
  const { entity } = repository
  const { path, type } = entity
  const name = named(type)
  const params = z.object({ id: idSchema })
  const record = { description: `The ${type}`, schema: entity.recordSchema, headers: ['ETag'] }
  const one = `/${path}/{id}`
  const tag = path
  const verb = (action: 'restore' | 'archive' | 'unarchive', summary: string): Route =>
    route({
      method: 'post',
      path: `${one}/${action}`,
      operationId: `${action}${name}`,
      summary,
      tag,
      params,
      responses: { 200: record },
      problems: [409, 412],
      handle: async (ctx, { params, header }) =>
        recordAnswer(await repository[action](db.tenant(ctx), params.id, readIfMatch(header('If-Match')))),
    })

  const routes: Readonly<Record<Offer, readonly Route[]>> = {
    list: [
      route({
        method: 'get',
        path: `/${path}`,
        operationId: `list${name}`,
        summary: `List ${path}`,
        tag,
        queryDocument: listParameters(entity),
        responses: { 200: { description: `A page of ${path}`, schema: pageOf(entity.shownSchema) } },
        handle: async (ctx, { search }) => ({ status: 200, body: new JsonText(await list(db.tenant(ctx), search)) }),
      }),
    ],
    get: [
      route({
        method: 'get',
        path: one,
        operationId: `get${name}`,
        summary: `Read one ${type}`,
        tag,
        params,
        queryDocument: recordParameters(entity),
        responses: {
          200: { ...record, schema: entity.shownSchema },
          304: { description: 'Not modified', schema: null },
        },
        handle: async (ctx, { params, search, header }) => {
          const { fields, include } = readMembers(entity, search)
          refuseHidden(ctx.rights, entity, { fields, include })
          const tx = db.tenant(ctx)
          const stored = await repository.get(tx, params.id, include.length > 0 ? undefined : (fields ?? undefined))
          if (include.length > 0) return { status: 200, body: await included(ctx, stored.json, fields, include) }
          if (fields) return { status: 200, body: new JsonText(stored.json) }
          return answerRecord(stored, header('If-None-Match'))
        },
      }),
    ],
    create: [
      route({
        method: 'post',
        path: `/${path}`,
        operationId: `create${name}`,
        summary: `Create a ${type}`,
        tag,
        body: entity.createSchema,
        idempotency: 'statement',
        responses: { 201: { ...record, headers: ['ETag', 'Location'] } },
        problems: [409],
        handle: async (ctx, { body, idempotencyKey }) => {
          const key = idempotencyKey()
          const tx = db.tenant(ctx)
          const made = key ? await repository.createOnce(tx, body, key) : await repository.create(tx, body)
          return 'replayed' in made ? replayed(made.replayed) : createdAnswer(entity, made)
        },
      }),
    ],
    update: [
      route({
        method: 'patch',
        path: one,
        operationId: `update${name}`,
        summary: `Change members of a ${type}`,
        description: 'Merge semantics: absent leaves, null clears, a value sets.',
        tag,
        params,
        body: entity.patchSchema,
        responses: { 200: record },
        problems: [409, 412, 422],
        handle: async (ctx, { params, body, header }) =>
          recordAnswer(
            await repository.update(db.tenant(ctx), params.id, body, { expected: readIfMatch(header('If-Match')) }),
          ),
      }),
    ],
    replace: [
      route({
        method: 'put',
        path: one,
        operationId: `replace${name}`,
        summary: `Replace the writable members of a ${type}`,
        description: `What is left out takes its default, or null${entity.all.ownerId?.absent ? '; without `ownerId` it stays with its owner' : ''}.`,
        tag,
        params,
        body: entity.putSchema,
        responses: { 200: record },
        problems: [409, 412, 422],
        handle: async (ctx, { params, body, header }) =>
          recordAnswer(
            await repository.replace(db.tenant(ctx), params.id, body, { expected: readIfMatch(header('If-Match')) }),
          ),
      }),
    ],
    delete: [
      route({
        method: 'delete',
        path: one,
        operationId: `delete${name}`,
        summary: `Delete a ${type}; it can be restored`,
        tag,
        params,
        responses: { 204: { description: 'Deleted', schema: null } },
        problems: [412, 422],
        handle: async (ctx, { params, header }) => {
          await repository.remove(db.tenant(ctx), params.id, readIfMatch(header('If-Match')))
          return { status: 204 }
        },
      }),
    ],
    restore: [verb('restore', `Bring a deleted ${type} back`)],
    archive: [
      verb('archive', `Take a ${type} out of the lists`),
      verb('unarchive', `Put an archived ${type} back into the lists`),
    ],
    bulk: [bulkRoute(deps)],
    upsert: [
      route({
        method: 'put',
        path: `/${path}/by-external-id/{externalId}`,
        operationId: `upsert${name}`,
        summary: `Create a ${type} under your own key, or change the one that has it`,
        tag,
        params: z.object({ externalId: z.string().min(1).max(255) }),
        body: entity.patchSchema,
        responses: { 200: record, 201: { ...record, headers: ['ETag', 'Location'] } },
        problems: [409, 412, 422],
        handle: (ctx, { params, body, header }) =>
          upsert(db, repository, ctx, params.externalId, body, header('If-Match')),
      }),
    ],
  }

  const included = async (
    ctx: Ctx,
    json: string,
    fields: readonly string[] | null,
    include: readonly string[],
  ): Promise<unknown> => {
    const [shown] = JSON.parse(await withIncludes(db.tenant(ctx), entity, registry, { fields, include }, `[${json}]`))
    if (!shown) throw notFound()
    return shown
  }

  return offers.flatMap((offer) => routes[offer])
}

function createdAnswer(entity: Entity, made: { id: string; version: number; json: string }): Answer {
  const answer = recordAnswer(made)
  return { ...answer, status: 201, headers: { ...answer.headers, Location: `/api/v1/${entity.path}/${made.id}` } }
}

/** Two at once give one record: who loses the race for the key changes what the other made. */
async function upsert(
  db: Database,
  repository: Repository,
  ctx: Ctx,
  externalId: string,
  body: Record<string, unknown>,
  ifMatch: string | undefined,
): Promise<Answer> {
  const { entity } = repository
  const tx = db.tenant(ctx)
  const values = { ...body, externalId: externalId.trim() }
  if (body.externalId !== undefined && body.externalId !== values.externalId) {
    throw invalidMember('externalId', 'must be the key of the path, or be left out')
  }
  // Whether there is one that has the key would tell who does not see the key.
  refuseUnwritable(ctx.rights, entity, ['externalId'])
  const expected = readIfMatch(ifMatch)
  for (let attempt = 1; ; attempt++) {
    const found = await repository.findByExternalId(tx, values.externalId)
    if (found) {
      // The record that had the key was merged: its survivor keeps a key of its own.
      const { externalId: _own, ...others } = body
      return recordAnswer(await repository.update(tx, found.id, found.merged ? others : values, { expected }))
    }
    // Even `*` asks for a record that is there (RFC 9110 section 13.1.1).
    if (ifMatch !== undefined) throw stale()
    try {
      return createdAnswer(
        entity,
        await repository.create(tx, parsePart(entity.createSchema, values) as Record<string, unknown>),
      )
    } catch (error) {
      if (attempt === 3 || !isTaken(error)) throw error
    }
  }
}

const isTaken = (error: unknown): boolean => {
  const problem = asProblem(error)
  return problem?.code === 'DUPLICATE' && problem.errors?.[0]?.path === 'externalId'
}
