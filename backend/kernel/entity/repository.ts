import type { Tx } from '../db/database.ts'
import { fill, fillAnew, plan, planCache } from '../db/plan.ts'
import { notFound } from '../errors.ts'
import type { Change } from '../events/event.ts'
import type { Key } from '../http/idempotency-key.ts'
import { newId } from '../ids.ts'
import type { Action, Rights, Scope } from '../rights.ts'
import { isMergedSql } from './aliases.ts'
import { hiddenOfName } from './called.ts'
import { createChange } from './change.ts'
import { type CustomFields, type CustomWrite, checkCustom, rowsOf } from './custom.ts'
import type { Entity } from './define.ts'
import { documentSql } from './document.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { refuseUnwritable, unwritableOf } from './field-rules.ts'
import type { Field } from './fields.ts'
import { createInsert, type Made, type NewRecord } from './insert.ts'
import type { Registry } from './registry.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'
import type { Changed, Expected, Replayed, Stored } from './stored.ts'
import { changeManySql, type MassShape } from './write-plan.ts'
import { type Values, withoutNulls, writableOf, writeParameters } from './write-values.ts'

export type { Changed, Expected, Replayed, Stored } from './stored.ts'
export type { Values } from './write-values.ts'

export interface Repository {
  readonly entity: Entity
  /** Throws 404 when it is not there or not for the caller. */
  get(tx: Tx, id: string, members?: readonly string[]): Promise<Stored>
  create(tx: Tx, values: Values, options?: Following & { id?: string }): Promise<Stored>
  /** Many records in a statement; each is made, or told what its references lack. A value that is taken fails all. */
  createMany(tx: Tx, records: readonly { id?: string; values: Values }[]): Promise<Made[]>
  /** A create in one round trip whose idempotency key commits with it. */
  createOnce(tx: Tx, values: Values, key: Key): Promise<Stored | Replayed>
  /** Absent leaves, null clears, a value sets. */
  update(tx: Tx, id: string, values: Values, options?: Following & { expected?: Expected }): Promise<Changed>
  /** Every writable member is set: what is absent takes its default or null; an owner who is absent stays. */
  replace(tx: Tx, id: string, values: Values, options?: { expected?: Expected }): Promise<Changed>
  /** Sets what we work out ourselves, read-only members too, and tells what changed of the record's parts. */
  derive(tx: Tx, id: string, derived: Values, options?: Derivation): Promise<Changed>
  /** Sets members to what records of the noun have held: nothing is asked of the values, and their side rows are made anew. */
  rewrite(tx: Tx, id: string, values: Values, options?: Derivation): Promise<Changed>
  /** Takes a record out of the lists by a verb of its own. */
  retire(tx: Tx, id: string, verb: string, data: Values): Promise<Changed>
  /** Changes one member of many records, each from what it was; gives those that were so. */
  exchange: Exchange
  /** Changes live records alike, whosever they are: who calls has seen to the rights. Gives how many changed. */
  changeMany(tx: Tx, ids: readonly string[], shape: MassShape, parameters: Values): Promise<number>
  remove(tx: Tx, id: string, expected?: Expected, data?: Values): Promise<Changed>
  restore(tx: Tx, id: string, expected?: Expected): Promise<Changed>
  archive(tx: Tx, id: string, expected?: Expected): Promise<Changed>
  unarchive(tx: Tx, id: string, expected?: Expected): Promise<Changed>
  /** The record that has a key of its own; else the one into which the record that had it was merged. */
  findByExternalId(tx: Tx, externalId: string): Promise<{ id: string; merged: boolean } | null>
}

/** From what a write follows. */
export interface Following {
  /** What its event says beside the members. */
  readonly data?: Values
  /** Ids of records that it may refer to whether or not the caller reads them: he did not choose them. */
  readonly given?: readonly string[]
}

export interface Derivation {
  /** The event's verb; absent: the noun's verbs decide. */
  readonly verb?: string
  readonly data?: Values
  readonly expected?: Expected
  /** What changed of parts that stand in tables of their own. Any is a change of the record, whatever its members do. */
  readonly parts?: readonly Change[]
  /** Whose records; absent: those that the caller may change. What follows from a change elsewhere asks nobody: `all`. */
  readonly scope?: Scope
}

/** The engine's door to the records of a noun: each write is one statement, with its event, rights and references. */
export function createRepository(entity: Entity, registry: Registry, customFields: CustomFields): Repository {
  const plans = planCache()
  const insert = createInsert(entity, registry)
  const change = createChange(entity, registry)
  const writable = writableOf(entity)
  const scopeOf = (tx: Tx, action: Action) => tx.ctx.rights.scope(entity.type, action)

  const custom = async (tx: Tx, sent: Values | undefined, whole: boolean): Promise<CustomWrite | null> => {
    if (!entity.all.customFields || (!whole && sent === undefined)) return null
    return checkCustom(await customFields.of(tx.ctx, entity.type, Object.keys(sent ?? {})), sent, whole)
  }

  /** Custom values that a record has held: their side rows are made anew, and nothing is asked of them. */
  const heldCustom = async (tx: Tx, held: unknown): Promise<CustomWrite> => {
    const values: Values = Object.assign(Object.create(null), held)
    const known = entity.all.customFields ? await customFields.of(tx.ctx, entity.type) : []
    const rows = known.flatMap((field) => rowsOf(field, values[field.key]))
    return { values, rows, touched: known.map((field) => field.id), users: {} }
  }

  const write = async (
    tx: Tx,
    id: string,
    sent: Values,
    whole: boolean,
    options: Following & { expected?: Expected },
  ): Promise<Changed> => {
    refuseUnwritable(tx.ctx.rights, entity, namesOf(sent))
    const keptCustom = whole && unwritableOf(tx.ctx.rights, entity, ['customFields']).length > 0
    const checked = keptCustom ? null : await custom(tx, objectOf(sent.customFields), whole)
    const values: Record<string, unknown> = { ...sent }
    const readOnly: Record<string, unknown> = {}
    for (const [name, field] of Object.entries(entity.all)) {
      if ((field.readOnly || field.fixed) && sent[name] !== undefined) {
        readOnly[name] = sent[name]
        delete values[name]
      }
    }
    if (checked) values.customFields = whole ? withoutNulls(checked.values) : checked.values
    const merges = (name: string) => name === 'customFields' || entity.all[name]?.merge !== undefined
    const merged = whole ? [] : writable.filter((name) => merges(name) && objectOf(values[name]) !== undefined)
    const shape = { among: 'live', sides: 'follow', scope: scopeOf(tx, 'update') } as const
    return change(tx, id, shape, { ...options, values, custom: checked, readOnly, merged, whole })
  }

  const mark = (
    tx: Tx,
    id: string,
    verb: string,
    fixed: Record<string, string>,
    expected: Expected,
  ): Promise<Changed> =>
    change(tx, id, { among: 'live', verb, fixed, sides: 'follow', scope: scopeOf(tx, 'update') }, { expected })

  const repository: Repository = {
    entity,
    get: async (tx, id, members) => {
      const scope = scopeOf(tx, 'read')
      const rules = members?.includes('name') ? tx.ctx.rights.fields?.(entity.type) : undefined
      const made = plans(
        `get ${scopeShape(scope)} ${members?.join(' ') ?? ''} - ${hiddenOfName(entity, rules).join(' ')}`,
        (bind) => `
        select ${documentSql(entity, 'json', members, rules)}::text as doc, r.version from ${entity.table} r
        where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is null
          and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, id, holders: scopeUsers(scope) }))
      if (!row) throw notFound()
      return { id, version: row.version, json: row.doc }
    },
    create: async (tx, values, { id = newId(), data = {}, given = [] } = {}) => {
      refuseUnwritable(tx.ctx.rights, entity, namesOf(values))
      const checked = await custom(tx, objectOf(values.customFields), true)
      const made = await insert.one(tx, { id, values, custom: checked, data, given }, null)
      if ('replayed' in made) throw new Error('a create without a key cannot be replayed')
      return made
    },
    createOnce: async (tx, values, key) => {
      refuseUnwritable(tx.ctx.rights, entity, namesOf(values))
      const checked = await custom(tx, objectOf(values.customFields), true)
      return insert.one(tx, { id: newId(), values, custom: checked, data: {} }, key)
    },
    createMany: async (tx, records) => {
      const checked: NewRecord[] = []
      for (const { id = newId(), values } of records) {
        refuseUnwritable(tx.ctx.rights, entity, namesOf(values))
        checked.push({ id, values, custom: await custom(tx, objectOf(values.customFields), true), data: {} })
      }
      return insert.many(tx, checked)
    },
    update: (tx, id, values, options = {}) => write(tx, id, values, false, options),
    replace: (tx, id, values, options = {}) => write(tx, id, completed(entity, values, tx.ctx.rights), true, options),
    derive: (tx, id, derived, { verb, scope = scopeOf(tx, 'update'), ...rest } = {}) =>
      change(
        tx,
        id,
        { among: 'live', sides: 'follow', scope, ...(verb === undefined ? {} : { verb }) },
        { ...rest, derived },
      ),
    rewrite: async (tx, id, values, { verb, scope = scopeOf(tx, 'update'), ...rest } = {}) =>
      change(
        tx,
        id,
        { among: 'live', sides: 'follow', scope, known: true, ...(verb === undefined ? {} : { verb }) },
        {
          ...rest,
          values,
          custom: values.customFields === undefined ? null : await heldCustom(tx, values.customFields),
        },
      ),
    retire: (tx, id, verb, data) =>
      change(
        tx,
        id,
        { among: 'live', verb, fixed: { deleted_at: 'now()' }, sides: 'clear', scope: scopeOf(tx, 'delete') },
        { data },
      ),
    exchange: createExchange(entity, registry),
    changeMany: async (tx, ids, shape, parameters) => {
      const made = plans(`many ${shape.name}`, (bind) => changeManySql(entity, shape, registry, bind))
      const eventIds = ids.map(() => newId())
      const written = { ...writeParameters(tx, entity, {}, null, {}), ...parameters, ids, eventIds }
      const rows = await tx.query(fillAnew(made, written))
      for (const { id: recordId, version, event: name } of rows)
        tx.appended({ tenantId: tx.ctx.tenantId, name, type: entity.type, recordId, version })
      return rows.length
    },
    remove: (tx, id, expected = null, data = {}) =>
      change(
        tx,
        id,
        {
          among: 'live',
          verb: 'deleted',
          fixed: { deleted_at: 'now()' },
          sides: 'clear',
          scope: scopeOf(tx, 'delete'),
        },
        { expected, data },
      ),
    restore: async (tx, id, expected = null) => {
      const made = plan(
        (bind) => `
        select ${documentSql(entity, 'jsonb')} as doc, r.deleted_at is null as live from ${entity.table} r
        where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and not ${isMergedSql(entity, 'r', bind)}`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, id }))
      if (!row) throw notFound()
      const scope = scopeOf(tx, 'delete')
      // Nothing to do, but only for who might have done it.
      if (row.live) return change(tx, id, { among: 'live', verb: 'restored', sides: 'follow', scope }, { expected })
      // Its side rows are made anew from what the record holds; what became required since is not asked of it. What it
      // refers to may have been merged since.
      const merges = ({ ref, readOnly }: Field) => ref && !readOnly && registry.entities.get(ref)?.sameness
      const members = Object.entries(entity.all).filter(([, field]) => field.side ?? merges(field))
      return change(
        tx,
        id,
        { among: 'deleted', verb: 'restored', fixed: { deleted_at: 'null' }, sides: 'follow', scope, known: true },
        {
          values: Object.fromEntries(members.map(([name]) => [name, row.doc[name]])),
          custom: await heldCustom(tx, row.doc.customFields),
          expected,
        },
      )
    },
    archive: (tx, id, expected = null) =>
      mark(tx, id, 'archived', { archived_at: 'coalesce(o.archived_at, now())' }, expected),
    unarchive: (tx, id, expected = null) => mark(tx, id, 'unarchived', { archived_at: 'null' }, expected),
    findByExternalId: async (tx, externalId) => {
      const made = plans(
        'by external id',
        (bind) => `
        select r.id, false as merged from ${entity.table} r where r.tenant_id = ${bind('tenant', 'uuid')}
          and r.external_id = ${bind('externalId', 'text')} and r.deleted_at is null
        union all
        (select a.target_id, true from record_aliases a where a.tenant_id = ${bind('tenant', 'uuid')}
          and a.record_type = '${entity.type}' and a.external_id = ${bind('externalId', 'text')} order by a.id desc limit 1)
        order by merged limit 1`,
      )
      const [row] = await tx.query(fill(made, { tenant: tx.ctx.tenantId, externalId }))
      return row ? { id: row.id, merged: row.merged } : null
    },
  }
  return repository
}

/** All writable members: what was not sent takes its default or null; what a trigger keeps, or a role, stays. */
function completed(entity: Entity, values: Values, rights: Rights): Values {
  const whole: Record<string, unknown> = { ...values }
  const names = writableOf(entity)
  const kept = new Set(unwritableOf(rights, entity, names))
  for (const name of names) {
    const field = entity.all[name]
    if (!field || field.fixed || field.absent || whole[name] !== undefined) continue
    if (kept.has(name)) continue
    if (field.default !== undefined) whole[name] = field.default
    else if (!field.neverNull && !field.required) whole[name] = null
  }
  return whole
}

const namesOf = (values: Values): string[] => Object.keys(values).filter((name) => values[name] !== undefined)

const objectOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
