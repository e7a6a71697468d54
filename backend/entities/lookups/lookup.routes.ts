import { z } from 'zod'
import type { Database } from '../../kernel/db/database.ts'
import { filledSchema } from '../../kernel/entity/fields.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { sentBack } from '../../kernel/entity/sent-back.ts'
import { notFound } from '../../kernel/errors.ts'
import { etagOf, noneMatches, readIfMatch } from '../../kernel/http/etag.ts'
import { pageOf } from '../../kernel/http/page.ts'
import { type Answer, type Route, route } from '../../kernel/http/route.ts'
import { apart, sight } from '../../kernel/sight.ts'
import { addItem, changeItem, changeList, removeItem, removeList } from './lookup.actions.ts'
import { builtInLists, itemChange, itemInput, itemSchema, listName } from './lookup.entity.ts'
import { findList, type List, readLists } from './lookup.queries.ts'

const listMembers = {
  id: z.uuid(),
  list: z.string(),
  label: z.string(),
  restricted: z.boolean(),
  builtIn: z.boolean(),
  version: z.int(),
}
const listSchema = z
  .object({ ...listMembers, items: z.array(itemSchema) })
  .meta({
    id: 'LookupList',
    example: {
      id: '0192f0c1-7a4e-7d31-9a55-0d7f3c1b2a90',
      list: 'source',
      label: 'Source',
      restricted: false,
      builtIn: true,
      version: 3,
      items: [],
    },
  })
  .register(sight, apart)

/** Pick lists: whole, by item, and what a list is as a whole. The version is the list's. */
export function lookupRoutes({
  db,
  records: lookups,
  registry: { entities },
  repository,
}: {
  db: Database
  records: Repository
  registry: Registry
  repository(type: string): Repository
}): Route[] {
  const params = z.object({ list: listName })
  const ofItem = z.object({ list: listName, item: z.string().min(1).max(100) })
  const one = { description: 'The list with its items', schema: listSchema, headers: ['ETag'] }
  const oneItem = { description: 'The item', schema: itemSchema, headers: ['ETag'] }
  return [
    route({
      method: 'get',
      path: '/lookups',
      operationId: 'listLookup',
      summary: 'All pick lists with their items in order',
      tag: 'lookups',
      responses: { 200: { description: 'All lists on one page', schema: pageOf(listSchema) } },
      handle: async (ctx) => {
        const lists = await readLists(db.tenant(ctx))
        return { status: 200, body: { data: lists.map(shown), page: { limit: 200, nextCursor: null } } }
      },
    }),
    route({
      method: 'get',
      path: '/lookups/{list}',
      operationId: 'getLookup',
      summary: 'The items of a pick list in order, on one page, and beside them what the list is',
      tag: 'lookups',
      params,
      query: z.strictObject({ active: z.enum(['true', 'false']).optional() }),
      responses: {
        200: {
          description: 'The items',
          schema: z.intersection(pageOf(itemSchema), z.object(listMembers).register(sight, apart)),
          headers: ['ETag'],
        },
        304: { description: 'Not modified', schema: null },
      },
      handle: async (ctx, { params, query: { active }, header }) => {
        const found = await findList(db.tenant(ctx), params.list, 'to read')
        if (!found) throw notFound()
        const headers = { ETag: etagOf(found.version) }
        if (noneMatches(header('If-None-Match'), found.version)) return { status: 304, headers }
        const { items, ...list } = shown(found)
        const data = items.filter((item) => active === undefined || String(item.active) === active)
        return { status: 200, headers, body: { ...list, data, page: { limit: 1_000, nextCursor: null } } }
      },
    }),
    route({
      method: 'post',
      path: '/lookups/{list}',
      operationId: 'createLookupItem',
      summary: 'Put an item into a pick list; the first one makes a list of your own',
      description: '`value` is what records hold and stays; absent it is the label. `order` absent: the last.',
      tag: 'lookups',
      params,
      body: itemInput,
      responses: { 201: { ...oneItem, headers: ['ETag', 'Location'] } },
      problems: [409, 422],
      handle: async (ctx, { params, body }) => {
        const { item, list } = await db.transaction(ctx, (tx) => addItem(tx, lookups, params.list, body))
        const headers = { ETag: etagOf(list.version), Location: `/api/v1/lookups/${params.list}/${item.id}` }
        return { status: 201, body: item, headers }
      },
    }),
    route({
      method: 'patch',
      path: '/lookups/{list}',
      operationId: 'updateLookup',
      summary: 'Change how a pick list is called, and whether records may newly hold nothing else',
      tag: 'lookups',
      params,
      body: z.strictObject({
        label: filledSchema(100).optional(),
        restricted: z.boolean().optional(),
        ...sentBack(listSchema, ['label', 'restricted']),
      }),
      responses: { 200: one },
      problems: [412],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        return answerOf(await db.transaction(ctx, (tx) => changeList(tx, lookups, params.list, body, expected)))
      },
    }),
    route({
      method: 'delete',
      path: '/lookups/{list}',
      operationId: 'deleteLookup',
      summary: 'Delete a pick list of your own',
      tag: 'lookups',
      params,
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [412, 422],
      handle: async (ctx, { params, header }) => {
        const expected = readIfMatch(header('If-Match'))
        await db.transaction(ctx, (tx) => removeList(tx, lookups, params.list, expected))
        return { status: 204 }
      },
    }),
    route({
      method: 'patch',
      path: '/lookups/{list}/{item}',
      operationId: 'updateLookupItem',
      summary: 'Change an item, by its id or value; records hold its value and are not touched',
      tag: 'lookups',
      params: ofItem,
      body: itemChange.extend(sentBack(itemSchema, Object.keys(itemChange.shape))),
      responses: { 200: oneItem },
      problems: [409, 412],
      handle: async (ctx, { params, body, header }) => {
        const expected = readIfMatch(header('If-Match'))
        const { item, list } = await db.transaction(ctx, (tx) =>
          changeItem(tx, lookups, params.list, params.item, body, expected),
        )
        return { status: 200, body: item, headers: { ETag: etagOf(list.version) } }
      },
    }),
    route({
      method: 'delete',
      path: '/lookups/{list}/{item}',
      operationId: 'deleteLookupItem',
      summary: 'Delete an item, by its id or value, that no record holds',
      description: 'With `replaceWith`, the id or value of another active item, records hold that one from now on.',
      tag: 'lookups',
      params: ofItem,
      query: z.strictObject({ replaceWith: z.string().min(1).max(100).optional() }),
      responses: { 204: { description: 'Deleted', schema: null } },
      problems: [409, 412, 422],
      handle: async (ctx, { params, query, header }) => {
        const expected = readIfMatch(header('If-Match'))
        const holding = { lookups, entities, repository }
        await db.transaction(ctx, (tx) =>
          removeItem(tx, holding, params.list, params.item, query.replaceWith, expected),
        )
        return { status: 204 }
      },
    }),
  ]
}

function shown({ id, list, label, restricted, version, items }: List) {
  return { id, list, label, restricted, builtIn: builtInLists.has(list), version, items }
}

const answerOf = (list: List): Answer => ({ status: 200, body: shown(list), headers: { ETag: etagOf(list.version) } })
