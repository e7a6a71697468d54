import sql, { raw } from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { wrapped } from '../../kernel/entity/wrapped.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { inForce, type Scored, scores } from './scoring-rule.entity.ts'

/**
 * Records of which a new one brings no score of its own as long as the tenant has rules for it. An import leaves it out, so
 * that what an export gave can be imported. Only a create with a score asks the database; of changes the definition tells.
 */
export function scoredByRules(records: Repository, type: Scored): Repository {
  const member = scores[type]
  const brings = (values: Values): boolean => (values[member] ?? null) !== null
  const allowed = async (tx: Tx, many: readonly Values[]): Promise<readonly Values[]> => {
    if (!many.some(brings)) return many
    const [ruled] = await tx.query(sql`
      select 1 from scoring_rules where tenant_id = ${tx.ctx.tenantId} and resource = ${type} and ${raw(inForce)} limit 1`)
    if (!ruled) return many
    if (tx.ctx.actor.type === 'import') return many.map((values) => ({ ...values, [member]: undefined }))
    throw invalidMember(member, 'is worked out by the scoring rules', 'read_only')
  }
  const alone = async (tx: Tx, values: Values): Promise<Values> => (await allowed(tx, [values]))[0] ?? values
  // What becomes of a record later is told by its definition.
  const { update, replace, derive, rewrite, retire, remove, restore, archive, unarchive, exchange, changeMany } =
    records
  return wrapped(records, {
    ...{ update, replace, derive, rewrite, retire, remove, restore, archive, unarchive, exchange, changeMany },
    create: async (tx, values, options) => records.create(tx, await alone(tx, values), options),
    createOnce: async (tx, values, key) => records.createOnce(tx, await alone(tx, values), key),
    createMany: async (tx, many) => {
      const values = await allowed(
        tx,
        many.map((record) => record.values),
      )
      return records.createMany(
        tx,
        many.map((record, index) => ({ ...record, values: values[index] ?? record.values })),
      )
    },
  })
}
