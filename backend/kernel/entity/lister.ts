import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Ctx } from '../context.ts'
import type { Row, Tx } from '../db/database.ts'
import { type Binder, fill, planCache } from '../db/plan.ts'
import { readPlace, unknownCursor, writeCursor } from '../http/page.ts'
import { hiddenOfName } from './called.ts'
import type { CustomFields } from './custom.ts'
import type { Entity } from './define.ts'
import { documentSql } from './document.ts'
import { refuseHidden } from './field-rules.ts'
import type { Field } from './fields.ts'
import { hasManners, listValues, type Manner } from './list-finding.ts'
import { type CursorPart, countSql, listSql, mayLackFirst } from './list-plan.ts'
import { type ListQuery, listIdentity, readListQuery } from './list-query.ts'
import type { Registry } from './registry.ts'
import { type SavedQueries, withSaved } from './saved-query.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'

/** Finds up to 200 ids for the quick find `?q=`; given by the search module. */
export type QuickFind = (ctx: Ctx, type: string, q: string) => Promise<readonly string[]>

/** A page as JSON text. */
export type Lister = (tx: Tx, search: URLSearchParams) => Promise<string>

/** The lists of a noun: filters, sorts, cursors, capped counts, sparse fields and includes. */
export function createLister(
  entity: Entity,
  registry: Registry,
  customFields: CustomFields,
  find: QuickFind,
  saved?: SavedQueries,
): Lister {
  const plans = planCache()
  const sparse = new LRUCache<string, true>({ max: mostSparse, ttl: sparseFor })
  return async (tx, asked) => {
    const search = await withSaved(tx, entity, asked, saved)
    const keys = customKeys(search)
    const definitions = keys.length > 0 ? await customFields.of(tx.ctx, entity.type, keys) : []
    const query = readListQuery(entity, search, definitions, tx.ctx.rights.userId)
    refuseHidden(tx.ctx.rights, entity, query)
    const scope = tx.ctx.rights.scope(entity.type, 'read')
    const identity = listIdentity(tx.ctx, entity, query)
    const cursor = cursorOf(query, identity)
    const part = partOf(entity, query, cursor)
    const read = { ...query, fields: fieldsToRead(entity, query) }
    const found = query.q === null ? null : await find(tx.ctx, entity.type, query.q)
    const values = {
      tenant: tx.ctx.tenantId,
      found,
      ...listValues(entity, query, scope),
      ...Object.fromEntries((cursor?.keys ?? []).map((key, index) => [`last${index}`, key])),
      lastId: cursor?.id,
    }
    const rules = read.fields?.includes('name') ? tx.ctx.rights.fields?.(entity.type) : undefined
    const shape = JSON.stringify([
      scopeShape(scope),
      typeof scope !== 'string' && scope.userIds.length === 1,
      part,
      query.limit,
      query.sort.map(({ name, descending, custom }) => [name, descending, custom?.type]),
      read.fields,
      hiddenOfName(entity, rules),
      query.q !== null,
      query.filters.map(({ name, operator, custom }) => [name, operator, custom?.type]),
    ])
    const readPage = async (manner: Manner): Promise<Row | undefined> => {
      const write = (bind: Binder) => listSql(entity, { ...read, rules, manner }, scope, part, registry, bind)
      const rows = await tx.query(fill(plans(`list ${manner} ${shape}`, write), values)).catch((error) => {
        throw badCursor(error, query)
      })
      return rows[0]
    }
    const reader = `${tx.ctx.tenantId} ${tx.ctx.rights.userId} ${shape}`
    const walks = hasManners(entity, query, scope) && !sparse.has(reader)
    const page = readPage(walks ? 'walk' : 'ways')
    const counted = query.count
      ? tx.query(
          fill(
            plans(`count ${shape}`, (bind) => countSql(entity, query, scope, registry, bind)),
            values,
          ),
        )
      : null
    const [first, total] = await Promise.all([page, counted])
    const isWhole = !walks || first?.full
    // A later page may lack rows as it is the last.
    if (!isWhole && cursor === null) sparse.set(reader, true)
    const row = isWhole ? first : await readPage('ways')
    if (!row) throw new Error('a list gave no answer')
    const next = row.more
      ? writeCursor([...query.sort.map((_key, index) => row[`last${index}`]), row.last_id], identity)
      : null
    const data = query.include.length > 0 ? await withIncludes(tx, entity, registry, query, row.data) : row.data
    return `{"data":${data},"page":${JSON.stringify(pageMember(query, next, total?.[0]?.total))}}`
  }
}

/** So many lists of readers who have little of what there is are known, for so many milliseconds. */
const mostSparse = 2000
const sparseFor = 3_600_000

/** The keys of the custom fields by which a list is filtered and sorted. */
function customKeys(search: URLSearchParams): string[] {
  const sorts = search.getAll('sort').flatMap((sort) => sort.split(',').map((name) => name.trim().replace(/^-/, '')))
  return [...search.keys(), ...sorts].flatMap((name) => /^cf\.([^[]+)/.exec(name)?.[1] ?? [])
}

/** Where the cursor stands; a null where no record can have one was made up. */
function partOf(entity: Entity, query: ListQuery, cursor: Cursor | null): CursorPart {
  if (cursor === null) return 'none'
  const [first, ...more] = query.sort
  if (!first || more.length > 0 || cursor.keys[0] !== null) return 'value'
  if (!mayLackFirst(entity, query)) throw unknownCursor()
  return 'null'
}

/** What is included is found by members that the caller may not have asked for. */
function fieldsToRead(entity: Entity, { fields, include }: ListQuery): readonly string[] | null {
  if (fields === null || include.length === 0) return fields
  const pointers = Object.keys(entity.all).filter((name) => include.includes(entity.all[name]?.include ?? ''))
  return [...new Set(['id', ...fields, ...pointers])]
}

/** Adds the records that members point at, one query a type for the whole page; unreadable ones are null. */
export async function withIncludes(
  tx: Tx,
  entity: Entity,
  registry: Registry,
  query: Pick<ListQuery, 'include' | 'fields'>,
  data: string,
): Promise<string> {
  const records: Record<string, unknown>[] = JSON.parse(data)
  for (const include of query.include) {
    const [name, field] = Object.entries(entity.all).find(([, item]) => item.include === include) ?? []
    if (!name || !field?.ref) continue
    const ids = pointers(name, field, records)
    const found = await readMany(tx, registry, field.ref, [...new Set([...ids.values()].flat())])
    for (const record of records) {
      const targets = (ids.get(String(record.id)) ?? []).map((id) => found.get(id) ?? null)
      record[include] = field.many ? targets.filter((target) => target !== null) : (targets[0] ?? null)
    }
  }
  const { fields, include } = query
  if (fields === null) return JSON.stringify(records)
  return JSON.stringify(
    records.map((record) => Object.fromEntries([...fields, ...include].map((name) => [name, record[name]]))),
  )
}

function pointers(name: string, field: Field, records: readonly Record<string, unknown>[]): Map<string, string[]> {
  const result = new Map<string, string[]>()
  for (const record of records) {
    const value = record[name]
    result.set(
      String(record.id),
      field.many && Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [],
    )
  }
  return result
}

async function readMany(
  tx: Tx,
  registry: Registry,
  type: string,
  ids: readonly string[],
): Promise<Map<string, unknown>> {
  const entity = registry.entities.get(type)
  if (!entity || ids.length === 0) return new Map()
  const scope = tx.ctx.rights.scope(type, 'read')
  const made = includePlans(
    `${type} ${scopeShape(scope)}`,
    (bind) => `
    select r.id, ${documentSql(entity, 'json')} as doc from ${entity.table} r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = any(${bind('ids', 'uuid[]')})
      and ${type === 'user' ? 'true' : 'r.deleted_at is null'} and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
  )
  const rows = await tx.query(fill(made, { tenant: tx.ctx.tenantId, ids, holders: scopeUsers(scope) }))
  return new Map(rows.map((row) => [row.id, row.doc]))
}

const includePlans = planCache(100)

interface Cursor {
  readonly keys: readonly (string | null)[]
  readonly id: string
}

function cursorOf({ cursor, sort }: ListQuery, identity: string): Cursor | null {
  const values = readPlace(cursor ?? undefined, identity, keysSchema)
  if (values === null) return null
  const id = values.at(-1) ?? null
  if (id === null || values.length !== sort.length + 1) throw unknownCursor()
  return { keys: values.slice(0, -1), id }
}

const keysSchema = z.array(z.string().nullable())

/** A cursor that was tampered with holds values that do not fit their types. */
function badCursor(error: unknown, query: ListQuery): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return query.cursor !== null && /^22/.test(code) ? unknownCursor() : error
}

function pageMember(query: ListQuery, nextCursor: string | null, total: number | undefined): Record<string, unknown> {
  const count = total === undefined ? {} : total > 10_000 ? { total: 10_000, totalIsLowerBound: true } : { total }
  return { limit: query.limit, nextCursor, ...count }
}
