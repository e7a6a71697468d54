import { mayNot } from '../context.ts'
import type { Tx } from '../db/database.ts'
import { fill, planCache } from '../db/plan.ts'
import { forbidden, invalid, notFound, type Problem, stale } from '../errors.ts'
import type { Change } from '../events/event.ts'
import type { CustomWrite } from './custom.ts'
import type { Entity } from './define.ts'
import { unwritableOf } from './field-rules.ts'
import { readsOf, readsParameters, readsShape } from './references.ts'
import type { Registry } from './registry.ts'
import { scopeShape, scopeUsers } from './scope.ts'
import type { Changed, Expected } from './stored.ts'
import { type ChangeShape, changeSql } from './write-plan.ts'
import { hasUsers, refuseMissing, translated, type Values, writableOf, writeParameters } from './write-values.ts'

/** What is to become of a record. */
export interface Wanted {
  readonly values?: Values
  readonly custom?: CustomWrite | null
  /** Read-only members that were sent back: they must be what the record holds. */
  readonly readOnly?: Values
  /** Members whose objects are merged instead of replaced. */
  readonly merged?: readonly string[]
  readonly expected?: Expected
  readonly data?: Values
  /** Whether all members are given: what was left out takes what a create would give it, but for its owner. */
  readonly whole?: boolean
  /** Members that we work out ourselves, read-only ones too. */
  readonly derived?: Values
  /** Records from which it follows: that they are referred to asks nobody what he reads. */
  readonly given?: readonly string[]
  /** What changed of parts that stand in tables of their own: the event tells it beside the members. */
  readonly parts?: readonly Change[]
}

/** A change; throws 404, 403, 412 or 400, and then nothing has changed. */
export type ChangeRecord = (
  tx: Tx,
  id: string,
  shape: Pick<ChangeShape, 'among' | 'scope' | 'sides' | 'fixed' | 'verb' | 'known'>,
  wanted: Wanted,
) => Promise<Changed>

/** Changes records of a noun, each in one statement and one round trip. */
export function createChange(entity: Entity, registry: Registry): ChangeRecord {
  const plans = planCache()
  const writable = writableOf(entity)

  return async (tx, id, shape, wanted) => {
    const {
      values = {},
      custom = null,
      readOnly = {},
      merged = [],
      expected = null,
      data = {},
      whole: complete = false,
      derived = {},
      parts = [],
      given = [],
    } = wanted
    // What follows from a change elsewhere (`all`) asks nobody what he sees.
    const sight = shape.scope === 'all' ? 'all' : tx.ctx.rights.scope(entity.type, 'read')
    const set = writable.filter((name) => values[name] !== undefined)
    const reads = readsOf(entity, set, registry, tx.ctx.rights)
    const whole: ChangeShape = {
      ...shape,
      sight,
      reads,
      withGiven: given.length > 0,
      names: [...set, ...Object.keys(derived)],
      merged,
      withReadOnly: Object.keys(readOnly).length > 0,
      withVersion: expected !== null,
      withUsers: hasUsers(custom),
      whole: complete,
      kept: complete ? unwritableOf(tx.ctx.rights, entity, writable) : [],
      withParts: parts.length > 0,
      derived: Object.keys(derived),
    }
    const kinds = [scopeShape(shape.scope), scopeShape(sight), ...readsShape(reads)]
    const made = plans(JSON.stringify([whole, kinds], withoutHolders), (bind) =>
      changeSql(entity, whole, registry, bind),
    )
    try {
      const [row] = await tx.query(
        fill(made, {
          ...writeParameters(tx, entity, { ...values, ...derived }, custom, data),
          id,
          versions: expected,
          holders: scopeUsers(shape.scope),
          seers: scopeUsers(sight),
          ...readsParameters(reads),
          given,
          readOnly: JSON.stringify(readOnly),
          parts: JSON.stringify(parts),
        }),
      )
      if (!row?.seen) throw notFound()
      if (!row.allowed) throw refusal(tx, entity, shape)
      refuseTaken(entity, row.taken)
      if (!row.fresh) throw stale()
      refuseAltered(row.altered)
      refuseMissing(row.missing)
      const { version, event: name, changed } = row
      if (changed) tx.appended({ tenantId: tx.ctx.tenantId, name, type: entity.type, recordId: id, version })
      return { id, version, json: row.doc, changed }
    } catch (error) {
      throw translated(error)
    }
  }
}

/** 403 for who may change none of the records of a noun, or not this one. */
export function refusal(
  tx: Tx,
  { type }: Entity,
  { scope, fixed = {} }: Pick<ChangeShape, 'scope' | 'fixed'>,
): Problem {
  if (scope === 'none') return mayNot(tx.ctx, 'deleted_at' in fixed ? 'delete' : 'update', type)
  return forbidden(`Your role may not change this ${type}`)
}

/** A plan is the same whoever holds the records. */
const withoutHolders = (key: string, value: unknown): unknown =>
  key === 'scope' || key === 'sight' || key === 'reads' ? undefined : value

function refuseTaken({ type }: Entity, names: readonly string[]): void {
  if (names.length > 0)
    throw forbidden(`This ${type} is yours to write by a share, which does not let you change ${names.join(', ')}`)
}

function refuseAltered(names: readonly string[]): void {
  if (names.length === 0) return
  throw invalid(names.map((path) => ({ path, message: 'is read-only and differs from what it is', code: 'read_only' })))
}
