import type { Tx } from '../db/database.ts'
import { fill, plan, planCache } from '../db/plan.ts'
import { conflict, duplicate, forbidden, invalid, notFound, rule, stale } from '../errors.ts'
import { laneNumber, signature } from '../events/append.ts'
import { type Key, lockOf } from '../http/idempotency.ts'
import { newId } from '../ids.ts'
import { type CustomFields, type CustomWrite, checkCustom } from './custom.ts'
import type { Entity } from './define.ts'
import { documentSql } from './document.ts'
import type { Registry } from './registry.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'
import { type ChangeShape, changeSql, createSql } from './write-plan.ts'

export type Values = Readonly<Record<string, unknown>>

/** A record as Postgres printed it. */
export interface Stored {
  readonly id: string
  readonly version: number
  readonly json: string
}

/** What a change came to. */
export interface Changed extends Stored {
  readonly changed: boolean
}

/** An answer that was given before under the same key. */
export interface Replayed {
  readonly replayed: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | null
  }
}

/** What a caller knows of the version: any of these, or whatever it is (null). */
export type Expected = readonly number[] | null

export interface Repository {
  readonly entity: Entity
  /** Throws 404 when it is not there or not for the caller. */
  get(tx: Tx, id: string, members?: readonly string[]): Promise<Stored>
  create(tx: Tx, values: Values, options?: { id?: string; data?: Values }): Promise<Stored>
  /** A create in one round trip whose idempotency key commits with it. */
  createOnce(tx: Tx, values: Values, key: Key): Promise<Stored | Replayed>
  /** Absent leaves, null clears, a value sets. */
  update(
    tx: Tx,
    id: string,
    values: Values,
    options?: { expected?: Expected; data?: Values; system?: Values },
  ): Promise<Changed>
  /** Every writable member is set: what is absent takes its default or null. */
  replace(tx: Tx, id: string, values: Values, options?: { expected?: Expected }): Promise<Changed>
  remove(tx: Tx, id: string, expected?: Expected): Promise<Changed>
  restore(tx: Tx, id: string): Promise<Changed>
  archive(tx: Tx, id: string): Promise<Changed>
  unarchive(tx: Tx, id: string): Promise<Changed>
  findByExternalId(tx: Tx, externalId: string): Promise<string | null>
}

/** The engine's door to the records of a noun: each write is one statement, with its event, rights and references. */
export function createRepository(entity: Entity, registry: Registry, customFields: CustomFields): Repository {
  const plans = planCache()
  const writable = Object.entries(entity.all)
    .filter(([, field]) => !field.readOnly)
    .map(([name]) => name)
  const withCustom = entity.all.customFields !== undefined
  const withTags = entity.all.tags !== undefined

  const custom = async (tx: Tx, sent: unknown, whole: boolean): Promise<CustomWrite | null> => {
    if (!withCustom || (!whole && sent === undefined)) return null
    const values = sent as Values | undefined
    const known = await customFields.of(tx.ctx, entity.path)
    if (Object.keys(values ?? {}).some((key) => !known.some((field) => field.key === key)))
      customFields.forget(tx.ctx.tenantId)
    return checkCustom(await customFields.of(tx.ctx, entity.path), values, whole)
  }

  const insert = async (
    tx: Tx,
    sent: Values,
    key: Key | null,
    id: string,
    data: Values,
  ): Promise<Stored | Replayed> => {
    if (tx.ctx.rights.scope(entity.type, 'create') === 'none')
      throw forbidden(`Your role may not create a ${entity.type}`)
    const checked = await custom(tx, sent.customFields, true)
    const values = checked ? { ...sent, customFields: withoutNulls(checked.values) } : sent
    const names = writable.filter((name) => values[name] !== undefined && !(values[name] === null && neverNull(name)))
    const shape = `create ${key ? 'key ' : ''}${names.join(' ')}`
    const made = plans(shape, (bind) => createSql(entity, names, registry, key !== null, bind))
    const { ctx } = tx
    const location = `/api/v1/${entity.path}/${id}`
    for (let attempt = 1; ; attempt++) {
      try {
        const rows = await tx.query(
          fill(made, {
            ...common(tx, data),
            ...bound(values),
            ...sides(values, checked),
            id,
            owner: ctx.actor.type === 'user' ? ctx.actor.id : null,
            ...(key ? keyParameters(tx, key, location) : {}),
          }),
        )
        const row = rows[0]
        if (!row) throw new Error(`the create of a ${entity.type} gave no verdict`)
        if (row.known_status) {
          if (!row.known_same) throw rule('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body')
          return { replayed: { status: row.known_status, headers: row.known_headers, body: row.known_body } }
        }
        if (row.free === false) throw conflict('A request with this Idempotency-Key is still in flight')
        refuseMissing(row.missing)
        tx.appended({
          tenantId: ctx.tenantId,
          name: row.event,
          type: entity.type,
          recordId: row.id,
          version: row.version,
        })
        return { id: row.id, version: row.version, json: row.doc }
      } catch (error) {
        // The first request under the key committed after this statement's snapshot: now its answer can be given.
        if (attempt === 1 && key && constraintOf(error) === 'idempotency_keys_pkey') continue
        throw translated(error)
      }
    }
  }

  const change = async (
    tx: Tx,
    id: string,
    shape: Omit<ChangeShape, 'names' | 'merged' | 'withReadOnly' | 'withVersion'>,
    values: Values,
    options: {
      expected?: Expected | undefined
      data?: Values | undefined
      custom?: CustomWrite | null
      readOnly?: Values
      merged?: readonly string[]
    } = {},
  ): Promise<Changed> => {
    const { expected = null, data = {}, readOnly = {}, merged = [] } = options
    const names = writable.filter((name) => values[name] !== undefined)
    const whole: ChangeShape = {
      ...shape,
      names,
      merged,
      withReadOnly: Object.keys(readOnly).length > 0,
      withVersion: expected !== null,
    }
    const key = `${shape.verb ?? 'change'} ${shape.among} ${scopeShape(shape.scope)} ${whole.withVersion} ${whole.withReadOnly} ${merged.join(',')} ${names.join(' ')} ${JSON.stringify(shape.fixed ?? {})}`
    const made = plans(key, (bind) => changeSql(entity, whole, registry, bind))
    try {
      const rows = await tx.query(
        fill(made, {
          ...common(tx, data),
          ...bound(values),
          ...sides(values, options.custom ?? null),
          id,
          versions: expected,
          holders: scopeUsers(shape.scope),
          readOnly: JSON.stringify(readOnly),
        }),
      )
      const row = rows[0]
      if (!row) throw notFound()
      if (!row.allowed) throw forbidden(`Your role may not change this ${entity.type}`)
      if (!row.fresh) throw stale()
      if (row.altered.length > 0)
        throw invalid(
          row.altered.map((path: string) => ({
            path,
            message: 'is read-only and differs from what it is',
            code: 'read_only',
          })),
        )
      refuseMissing(row.missing)
      if (row.changed)
        tx.appended({
          tenantId: tx.ctx.tenantId,
          name: row.event,
          type: entity.type,
          recordId: id,
          version: row.version,
        })
      return { id, version: row.version, json: row.doc, changed: row.changed }
    } catch (error) {
      throw translated(error)
    }
  }

  const write = async (
    tx: Tx,
    id: string,
    sent: Values,
    whole: boolean,
    options: { expected?: Expected | undefined; data?: Values | undefined },
  ): Promise<Changed> => {
    const checked = await custom(tx, sent.customFields, whole)
    const values: Record<string, unknown> = { ...sent }
    const merged: string[] = []
    if (checked) {
      values.customFields = whole ? withoutNulls(checked.values) : checked.values
      if (!whole) merged.push('customFields')
    }
    if (!whole) {
      for (const name of writable) if (entity.all[name]?.merge && isObject(sent[name])) merged.push(name)
    }
    const readOnly: Record<string, unknown> = {}
    for (const [name, field] of Object.entries(entity.all)) {
      if ((field.readOnly || field.fixed) && sent[name] !== undefined) {
        readOnly[name] = sent[name]
        delete values[name]
      }
    }
    const scope = tx.ctx.rights.scope(entity.type, 'update')
    return change(tx, id, { among: 'live', sides: 'follow', scope }, values, {
      ...options,
      custom: checked,
      readOnly,
      merged,
    })
  }

  /** What the lists and filters of a record that comes back need: its side rows, from the row itself. */
  const mark = (tx: Tx, id: string, verb: string, fixed: Record<string, string>): Promise<Changed> =>
    change(
      tx,
      id,
      { among: 'live', verb, fixed, sides: 'follow', scope: tx.ctx.rights.scope(entity.type, 'update') },
      {},
    )

  const neverNull = (name: string): boolean => {
    const field = entity.all[name]
    return field?.neverNull === true || field?.default !== undefined
  }

  const bound = (values: Values): Record<string, unknown> => {
    const result: Record<string, unknown> = {}
    for (const name of writable) {
      const value = values[name]
      const field = entity.all[name]
      if (value !== undefined && value !== null && field) result[name] = field.bind ? field.bind(value) : value
    }
    return result
  }

  const sides = (values: Values, checked: CustomWrite | null): Record<string, unknown> => {
    const names = withTags && Array.isArray(values.tags) ? values.tags : []
    return {
      tagNames: names,
      tagIds: names.map(() => newId()),
      customRows: JSON.stringify(checked?.rows ?? []),
      customTouched: checked?.touched ?? [],
    }
  }

  const repository: Repository = {
    entity,
    get: async (tx, id, members) => {
      const scope = tx.ctx.rights.scope(entity.type, 'read')
      const made = plans(
        `get ${scopeShape(scope)} ${members?.join(' ') ?? ''}`,
        (bind) => `
        select ${documentSql(entity, 'json', members)}::text as doc, r.version from ${entity.table} r
        where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is null
          and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, id, holders: scopeUsers(scope) }))
      if (!row) throw notFound()
      return { id, version: row.version, json: row.doc }
    },
    create: async (tx, values, options = {}) => {
      const made = await insert(tx, values, null, options.id ?? newId(), options.data ?? {})
      if ('replayed' in made) throw new Error('a create without a key cannot be replayed')
      return made
    },
    createOnce: (tx, values, key) => insert(tx, values, key, newId(), {}),
    update: (tx, id, values, options = {}) => write(tx, id, values, false, options),
    replace: (tx, id, values, options = {}) => {
      const whole: Record<string, unknown> = { ...values }
      for (const name of writable) {
        const field = entity.all[name]
        if (!field || field.fixed || whole[name] !== undefined) continue
        if (field.default !== undefined) whole[name] = field.default
        else if (!field.neverNull && !field.required) whole[name] = null
      }
      return write(tx, id, whole, true, options)
    },
    remove: (tx, id, expected = null) =>
      change(
        tx,
        id,
        {
          among: 'live',
          verb: 'deleted',
          fixed: { deleted_at: 'now()' },
          sides: 'clear',
          scope: tx.ctx.rights.scope(entity.type, 'delete'),
        },
        {},
        { expected },
      ),
    restore: async (tx, id) => {
      const made = plan(
        (bind) => `select ${documentSql(entity, 'jsonb')} as doc, r.deleted_at is null as live from ${entity.table} r
        where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')}`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, id }))
      if (!row) throw notFound()
      if (row.live) return { ...(await repository.get(tx, id)), changed: false }
      // Its side rows are made anew from the row itself; what became required since is not asked of it.
      const known = withCustom ? await customFields.of(tx.ctx, entity.path) : []
      const lenient = known.map((field) => ({ ...field, required: false, default: null }))
      const kept = Object.fromEntries(
        Object.entries((row.doc.customFields ?? {}) as Values).filter(([key]) =>
          known.some((field) => field.key === key),
        ),
      )
      const sideNames = Object.entries(entity.all)
        .filter(([, field]) => field.side)
        .map(([name]) => name)
      const values = Object.fromEntries(
        sideNames.map((name) => [name, name === 'customFields' ? row.doc[name] : row.doc[name]]),
      )
      const scope = tx.ctx.rights.scope(entity.type, 'delete')
      const checked = withCustom ? { ...checkCustomLeniently(lenient, kept), values: kept } : null
      return change(
        tx,
        id,
        { among: 'deleted', verb: 'restored', fixed: { deleted_at: 'null' }, sides: 'follow', scope },
        values,
        { custom: checked },
      )
    },
    archive: (tx, id) => mark(tx, id, 'archived', { archived_at: 'coalesce(o.archived_at, now())' }),
    unarchive: (tx, id) => mark(tx, id, 'unarchived', { archived_at: 'null' }),
    findByExternalId: async (tx, externalId) => {
      const made = plans(
        'by external id',
        (bind) => `
        select r.id from ${entity.table} r
        where r.tenant_id = ${bind('tenant', 'uuid')} and r.external_id = ${bind('externalId', 'text')} and r.deleted_at is null`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, externalId }))
      return row?.id ?? null
    },
  }
  return repository
}

function checkCustomLeniently(definitions: Parameters<typeof checkCustom>[0], values: Values): CustomWrite {
  try {
    return checkCustom(definitions, values, true)
  } catch {
    // A value that no longer fits its definition stays in the record, and out of the filters.
    return { values, rows: [], touched: [], userIds: [] }
  }
}

function common(tx: Tx, data: Values): Record<string, unknown> {
  const { ctx } = tx
  const { actor, requestId, operationId, ip, userAgent } = signature(ctx)
  return {
    tenant: ctx.tenantId,
    actor: actor.id,
    actorJson: JSON.stringify(actor),
    eventId: newId(),
    lane: laneNumber(ctx.lane),
    requestId,
    operationId,
    ip: ip ?? null,
    userAgent: userAgent ?? null,
    data: JSON.stringify(data),
  }
}

function keyParameters(tx: Tx, key: Key, location: string): Record<string, unknown> {
  return {
    keyMethod: key.method,
    keyPath: key.path,
    key: key.key,
    keyHash: key.bodyHash,
    keyLock: lockOf(tx.ctx, key),
    location,
  }
}

function refuseMissing(missing: readonly string[]): void {
  if (missing.length === 0) return
  throw invalid(
    missing.map((path) => ({ path, message: 'must refer to records that you may read', code: 'invalid_reference' })),
  )
}

const constraintOf = (error: unknown): string | undefined =>
  error instanceof Error && 'constraint' in error && typeof error.constraint === 'string' ? error.constraint : undefined

/** A clash of custom values is told by the column of the side table; the caller knows it as a custom field. */
function translated(error: unknown): unknown {
  if (constraintOf(error) === 'custom_values_unique')
    return duplicate('customFields', 'a unique custom field has a value that another record has')
  if (constraintOf(error)?.endsWith('_external_id'))
    return duplicate('externalId', 'externalId is taken by another record')
  return error
}

const withoutNulls = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
