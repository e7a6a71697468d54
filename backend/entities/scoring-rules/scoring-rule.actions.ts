import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Changed, Repository, Values } from '../../kernel/entity/repository.ts'
import { wrapped } from '../../kernel/entity/wrapped.ts'
import { invalidMember, type Problem, rule } from '../../kernel/errors.ts'
import { counts, customRuleField, memberField, type RuleField } from './rule-fields.ts'
import { operators, type Scored, scores } from './scoring-rule.entity.ts'

/** How many rules a resource may have: each is looked at for each record. */
const mostRules = 200

/** Rules whose every write leaves one that fits together: the field is there, offers the operator, and takes the value. */
export function fittingRules(db: Database, rules: Repository, others: (type: string) => Repository): Repository {
  const fitting = async (tx: Tx, values: Values): Promise<Values> => ({
    ...values,
    value: await checkedValue(tx, others(scoredOf(values.resource)), values),
  })
  const creating = async (tx: Tx, values: Values, before = 0): Promise<Values> => {
    const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(sql`
      select count(*)::integer as count from scoring_rules
      where tenant_id = ${tx.ctx.tenantId} and resource = ${String(values.resource)} and deleted_at is null`)
    if (count + before >= mostRules) throw rule('TOO_MANY_RULES', `A resource has at most ${mostRules} scoring rules`)
    return fitting(tx, values)
  }
  const changing = (tx: Tx, id: string, write: (tx: Tx, before: Values) => Promise<Changed>): Promise<Changed> =>
    db.transaction(tx.ctx, async (inner) => {
      // Two at once would each fit with what the other replaces.
      await inner.query(sql`
        select 1 from scoring_rules where tenant_id = ${inner.ctx.tenantId} and id = ${id} for update`)
      return write(inner, JSON.parse((await rules.get(inner, id)).json))
    })
  const { derive, rewrite, retire, remove, restore, archive, unarchive, exchange, changeMany } = rules
  return wrapped(rules, {
    ...{ derive, rewrite, retire, remove, restore, archive, unarchive, exchange, changeMany },
    create: async (tx, values, options) => rules.create(tx, await creating(tx, values), options),
    createOnce: async (tx, values, key) => rules.createOnce(tx, await creating(tx, values), key),
    createMany: async (tx, records) => {
      const fit: { id?: string; values: Values }[] = []
      for (const record of records) fit.push({ ...record, values: await creating(tx, record.values, fit.length) })
      return rules.createMany(tx, fit)
    },
    update: (tx, id, values, options) =>
      changing(tx, id, async (inner, before) => {
        const { value } = await fitting(inner, { ...before, ...values })
        const asks = ['field', 'operator', 'value'].some((name) => values[name] !== undefined)
        return rules.update(inner, id, asks ? { ...values, value } : values, options)
      }),
    replace: (tx, id, values, options) =>
      changing(tx, id, async (inner, { resource }) =>
        rules.replace(inner, id, await fitting(inner, { resource, ...values }), options),
      ),
  })
}

const scoredOf = (resource: unknown): Scored => {
  const known = Object.keys(scores).find((type) => type === resource)
  if (!known) throw invalidMember('resource', `must be one of ${Object.keys(scores).join(', ')}`)
  return known as Scored
}

async function checkedValue(tx: Tx, { entity }: Repository, values: Values): Promise<unknown> {
  const scored = scoredOf(entity.type)
  const name = String(values.field)
  const field = name.startsWith('cf.')
    ? await customField(tx, scored, name.slice(3))
    : memberField(entity, scores[scored], name)
  if (!field) throw wrongField(scored)
  const operator = operators.find((known) => known === values.operator)
  if (!operator || !field.operators.includes(operator))
    throw invalidMember('operator', `must be one of ${field.operators.join(', ')} for ${name}`)
  const result = field.valueOf(operator).safeParse(values.value ?? undefined)
  if (!result.success) throw invalidMember('value', result.error.issues[0]?.message ?? 'does not fit the field')
  return result.data
}

const wrongField = (scored: Scored): Problem =>
  invalidMember(
    'field',
    `must be a member of a ${scored}, a custom field as cf.key, or one of ${counts[scored].join(', ')}`,
  )

async function customField(tx: Tx, resource: Scored, key: string): Promise<RuleField | undefined> {
  const [definition] = await tx.query<{ type: string; options: string[] }>(sql`
    select field_type as type, options from custom_fields
    where tenant_id = ${tx.ctx.tenantId} and resource = ${resource} and key = ${key} and deleted_at is null`)
  return definition && customRuleField(definition)
}
