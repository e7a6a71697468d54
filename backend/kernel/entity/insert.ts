import type { Tx } from '../db/database.ts'
import { fill, planCache } from '../db/plan.ts'
import { conflict, forbidden, rule } from '../errors.ts'
import type { Key } from '../http/idempotency.ts'
import type { CustomWrite } from './custom.ts'
import { type Entity, isNeverNull } from './define.ts'
import type { Registry } from './registry.ts'
import type { Replayed, Stored } from './stored.ts'
import { createSql } from './write-plan.ts'
import {
  constraintOf,
  keyParameters,
  refuseMissing,
  translated,
  type Values,
  withoutNulls,
  writableOf,
  writeParameters,
} from './write-values.ts'

/** A create: with a key, the answer that was kept under it may come instead. */
export type Insert = (
  tx: Tx,
  record: { id: string; values: Values; custom: CustomWrite | null; data: Values },
  key: Key | null,
) => Promise<Stored | Replayed>

/** Creates records of a noun, each in one statement and one round trip. */
export function createInsert(entity: Entity, registry: Registry): Insert {
  const plans = planCache()
  const writable = writableOf(entity)

  return async (tx, { id, values: sent, custom, data }, key) => {
    if (tx.ctx.rights.scope(entity.type, 'create') === 'none')
      throw forbidden(`Your role may not create a ${entity.type}`)
    const values = custom ? { ...sent, customFields: withoutNulls(custom.values) } : sent
    const isSet = (name: string): boolean =>
      values[name] !== undefined && !(values[name] === null && isNeverNull(entity.all[name]))
    const names = writable.filter(isSet)
    const shape = `${key ? 'key ' : ''}${custom?.userIds.length ? 'users ' : ''}${names.join(' ')}`
    const options = { withKey: key !== null, withUsers: (custom?.userIds.length ?? 0) > 0 }
    const made = plans(shape, (bind) => createSql(entity, names, registry, options, bind))
    const parameters = {
      ...writeParameters(tx, entity, values, custom, data),
      ...(key ? keyParameters(tx, key, `/api/v1/${entity.path}/${id}`) : {}),
      id,
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
        const { version, event: name } = row
        tx.appended({ tenantId: tx.ctx.tenantId, name, type: entity.type, recordId: id, version })
        return { id, version, json: row.doc }
      } catch (error) {
        // The first request under the key committed after this statement's snapshot: now its answer can be given.
        if (attempt === 1 && key && constraintOf(error) === 'idempotency_keys_pkey') continue
        throw translated(error)
      }
    }
  }
}
