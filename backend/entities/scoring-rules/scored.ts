import sql from 'sql-template-tag'
import type { Tx } from '../../kernel/db/database.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { invalidMember } from '../../kernel/errors.ts'
import { type Scored, scores } from './scoring-rule.entity.ts'

/**
 * Records whose score is worked out as long as the tenant has rules for it: then it is read-only. An import leaves it out,
 * so that what an export gave can be imported. Nothing is asked of the database for a write without a score.
 */
export function scoredByRules(records: Repository, type: Scored): Repository {
  const member = scores[type]
  const isRuled = async (tx: Tx): Promise<boolean> => {
    const [found] = await tx.query(sql`
      select 1 from scoring_rules where tenant_id = ${tx.ctx.tenantId} and resource = ${type} and active and deleted_at is null limit 1`)
    return found !== undefined
  }
  const creating = async (tx: Tx, values: Values): Promise<Values> => {
    if ((values[member] ?? null) === null || !(await isRuled(tx))) return values
    if (tx.ctx.actor.type !== 'import') throw readOnly(member)
    return { ...values, [member]: undefined }
  }
  const changing = async (tx: Tx, id: string, values: Values): Promise<Values> => {
    const held = JSON.parse((await records.get(tx, id, [member])).json)[member]
    const sent = values[member]
    if (sent !== undefined && sent !== held && tx.ctx.actor.type !== 'import') throw readOnly(member)
    return { ...values, [member]: held }
  }
  return {
    ...records,
    create: async (tx, values, options) => records.create(tx, await creating(tx, values), options),
    createOnce: async (tx, values, key) => records.createOnce(tx, await creating(tx, values), key),
    createMany: async (tx, many) => {
      const scored = many.some(({ values }) => (values[member] ?? null) !== null)
      if (!scored) return records.createMany(tx, many)
      const checked: { id?: string; values: Values }[] = []
      for (const record of many) checked.push({ ...record, values: await creating(tx, record.values) })
      return records.createMany(tx, checked)
    },
    update: async (tx, id, values, options) => {
      const sent = values[member] !== undefined && (await isRuled(tx))
      return records.update(tx, id, sent ? without(await changing(tx, id, values), member) : values, options)
    },
    // What a PUT leaves out it would clear.
    replace: async (tx, id, values, options) =>
      records.replace(tx, id, (await isRuled(tx)) ? await changing(tx, id, values) : values, options),
  }
}

const readOnly = (member: string) =>
  invalidMember(member, 'is worked out by the scoring rules and differs from what it is', 'read_only')

const without = (values: Values, member: string): Values =>
  Object.fromEntries(Object.entries(values).filter(([name]) => name !== member))
