import { mayNot } from '../context.ts'
import type { Row, Tx } from '../db/database.ts'
import { fill, planCache } from '../db/plan.ts'
import { conflict, forbidden, rule } from '../errors.ts'
import type { Key } from '../http/idempotency-key.ts'
import { newId } from '../ids.ts'
import { reaches } from '../rights.ts'
import type { CustomWrite } from './custom.ts'
import { type Entity, isNeverNull } from './define.ts'
import { readsOf, readsParameters, readsShape } from './references.ts'
import type { Registry } from './registry.ts'
import { belongingOf } from './scope.ts'
import type { Replayed, Stored } from './stored.ts'
import { type CreateShape, createManySql, createSql } from './write-plan.ts'
import {
  constraintOf,
  customUsers,
  hasUsers,
  keyParameters,
  ownerOf,
  refuseMissing,
  signed,
  translated,
  type Values,
  withoutNulls,
  writableOf,
  writeParameters,
} from './write-values.ts'

/** A record to be made, checked. */
export interface NewRecord {
  readonly id: string
  readonly values: Values
  readonly custom: CustomWrite | null
  readonly data: Values
  /** Records from which it follows: that it refers to them asks nobody what he reads. */
  readonly given?: readonly string[]
}

/** What became of one of many: the record, or the members whose references do not resolve. */
export type Made = Stored | { readonly missing: readonly string[] }

export interface Insert {
  /** One record; with a key, the answer that was kept under it may come instead. */
  one(tx: Tx, record: NewRecord, key: Key | null): Promise<Stored | Replayed>
  /**
   * Many records in one statement for each shape: what fails by its references is told and the others are made; what
   * fails in the database (a value that is taken) fails all.
   */
  many(tx: Tx, records: readonly NewRecord[]): Promise<Made[]>
}

/** Creates records of a noun, each statement one round trip. */
export function createInsert(entity: Entity, registry: Registry): Insert {
  const plans = planCache()
  const writable = writableOf(entity)

  const shapeOf = (
    { ctx }: Tx,
    record: NewRecord,
    withKey: boolean,
  ): { shape: CreateShape; values: Values; name: string } => {
    const { custom, given = [] } = record
    const values = custom ? { ...record.values, customFields: withoutNulls(custom.values) } : record.values
    const isSet = (name: string): boolean =>
      values[name] !== undefined && !(values[name] === null && isNeverNull(entity.all[name]))
    const names = writable.filter(isSet)
    const reads = readsOf(entity, names, registry, ctx.rights)
    const shape = { names, withKey, withUsers: hasUsers(custom), withGiven: given.length > 0 }
    return { shape: { ...shape, reads }, values, name: JSON.stringify([shape, readsShape(reads)]) }
  }

  const one: Insert['one'] = async (tx, record, key) => {
    refuseCreate(tx, entity, [record])
    const { id, custom, data, given } = record
    const { shape, values, name } = shapeOf(tx, record, key !== null)
    const made = plans(name, (bind) => createSql(entity, shape, registry, bind))
    const parameters = {
      ...writeParameters(tx, entity, values, custom, data),
      ...(key ? keyParameters(tx, key, `/api/v1/${entity.path}/${id}`) : {}),
      ...readsParameters(shape.reads),
      id,
      given,
    }
    for (let attempt = 1; ; attempt++) {
      try {
        const [row] = await tx.query(fill(made, parameters))
        if (!row) throw new Error(`the create of a ${entity.type} gave no verdict`)
        if (row.known_status) {
          if (!row.known_same) throw rule('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body')
          return { replayed: { status: row.known_status, headers: row.known_headers, body: row.known_body } }
        }
        if (row.free === false) throw conflict('A request with this Idempotency-Key is still in flight')
        refuseMissing(row.missing)
        return stored(tx, entity, id, row)
      } catch (error) {
        // The first request under the key committed after this statement's snapshot: now its answer can be given.
        if (attempt === 1 && key && constraintOf(error) === 'idempotency_keys_pkey') continue
        throw translated(error)
      }
    }
  }

  const many: Insert['many'] = async (tx, records) => {
    refuseCreate(tx, entity, records)
    const groups = Map.groupBy(records, (record) => shapeOf(tx, record, false).name)
    const made = new Map<string, Made>()
    for (const [name, group] of groups) {
      const [first] = group
      if (!first) continue
      const { shape } = shapeOf(tx, first, false)
      const statement = plans(`many ${name}`, (bind) => createManySql(entity, shape, registry, bind))
      const rows = group.map((record) => rowOf(record, shapeOf(tx, record, false).values))
      const parameters = { ...signed(tx, first.data), ...readsParameters(shape.reads), rows: JSON.stringify(rows) }
      const found = await tx.query(fill(statement, parameters)).catch((error: unknown) => {
        throw translated(error)
      })
      for (const row of found) {
        made.set(row.id, row.missing.length > 0 ? { missing: row.missing } : stored(tx, entity, row.id, row))
      }
    }
    return records.map(({ id }) => {
      const result = made.get(id)
      if (!result) throw new Error(`the create of many ${entity.path} gave no verdict on one`)
      return result
    })
  }

  return { one, many }
}

/** Throws 403 when the caller may create none, or when a record would not belong to those for whom his role creates. */
function refuseCreate(tx: Tx, entity: Entity, records: readonly NewRecord[]): void {
  const { ctx } = tx
  const scope = ctx.rights.scope(entity.type, 'create')
  if (scope === 'none') throw mayNot(ctx, 'create', entity.type)
  if (scope === 'all') return
  const absent = Object.entries(entity.all).flatMap(([name, field]) =>
    field.absent === 'actor' ? [[name, ownerOf(ctx)] as const] : [],
  )
  const isFor = ({ values }: NewRecord): boolean => {
    const given = Object.entries(values).filter(([, value]) => value !== undefined)
    const made = { ...Object.fromEntries(absent), ...Object.fromEntries(given), createdById: ctx.rights.userId }
    return reaches(scope, belongingOf(entity, made))
  }
  if (records.every(isFor)) return
  const whom = scope.of === 'team' ? 'yourself and your team' : 'yourself'
  throw forbidden(`Your role may create a ${entity.type.replaceAll('_', ' ')} for ${whom} only`)
}

function stored(tx: Tx, entity: Entity, id: string, row: Row): Stored {
  const { version, event: name } = row
  tx.appended({ tenantId: tx.ctx.tenantId, name, type: entity.type, recordId: id, version })
  return { id, version, json: row.doc }
}

/** A record as one of the rows of a parameter: plain JSON, under the names that the statement reads. */
function rowOf({ id, custom }: NewRecord, values: Values): Record<string, unknown> {
  const tags = Array.isArray(values.tags) ? values.tags : []
  const all: Values = {
    ...values,
    id,
    eventId: newId(),
    tagNames: tags,
    tagIds: tags.map(() => newId()),
    customRows: custom?.rows ?? [],
    customTouched: custom?.touched ?? [],
    ...customUsers(custom),
  }
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`p_${name}`, value]))
}
