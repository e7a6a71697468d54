import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import { type Entity, neededMembers } from '../../kernel/entity/define.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { wrapped } from '../../kernel/entity/wrapped.ts'
import { invalid, type MemberError, rule } from '../../kernel/errors.ts'
import type { Action } from '../../kernel/rights.ts'
import { lookup } from '../lookups/lookup.entity.ts'

/** How many roles a tenant may have. */
const mostRoles = 200

/** Roles whose every write names nouns and members that there are, and which are deleted only when nobody has them or is invited to them. */
export function fittingRoles(db: Database, roles: Repository, { entities }: Registry): Repository {
  const fitting = (values: Values): Values => {
    refuseUnfit(entities, values)
    return whole(entities, values)
  }
  const creating = async (tx: Tx, values: Values, before = 0): Promise<Values> => {
    const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(sql`
      select count(*)::integer as count from roles where tenant_id = ${tx.ctx.tenantId} and deleted_at is null`)
    if (count + before >= mostRoles) throw rule('TOO_MANY_ROLES', `A tenant has at most ${mostRoles} roles of its own`)
    return fitting(values)
  }
  const { derive, rewrite, retire, restore, archive, unarchive, exchange, changeMany } = roles
  return wrapped(roles, {
    ...{ derive, rewrite, retire, restore, archive, unarchive, exchange, changeMany },
    create: async (tx, values, options) => roles.create(tx, await creating(tx, values), options),
    createOnce: async (tx, values, key) => roles.createOnce(tx, await creating(tx, values), key),
    createMany: async (tx, records) => {
      const fit: { id?: string; values: Values }[] = []
      for (const record of records) fit.push({ ...record, values: await creating(tx, record.values, fit.length) })
      return roles.createMany(tx, fit)
    },
    update: async (tx, id, values, options) => roles.update(tx, id, fitting(values), options),
    replace: async (tx, id, values, options) => roles.replace(tx, id, fitting(values), options),
    remove: (tx, id, expected, data) =>
      db.transaction(tx.ctx, async (inner) => {
        const removed = await roles.remove(inner, id, expected, data)
        await refuseInUse(inner, id)
        return removed
      }),
  })
}

/** An invitation holds its role as long as it can be accepted or sent again. */
async function refuseInUse(tx: Tx, id: string): Promise<void> {
  const [row] = await tx.query<{ held: boolean; promised: boolean }>(sql`
    select exists (select from users where tenant_id = ${tx.ctx.tenantId} and role_id = ${id} and deleted_at is null) as held,
      exists (select from invitations where tenant_id = ${tx.ctx.tenantId} and role_id = ${id}
              and accepted_at is null and revoked_at is null) as promised`)
  if (row?.held) throw rule('ROLE_IN_USE', 'Users have this role: give them another one first')
  if (row?.promised) throw rule('ROLE_IN_USE', 'Invitations give this role: take them back first')
}

/** Whether a role of a tenant's own may grant an action: who makes members and roles could make himself an owner. */
const isGrantable = (type: string, action: Action): boolean =>
  action === 'read' || !['user', 'role', 'team'].includes(type)

/** What is worked out from a hidden member is hidden with it, and the role says so. */
function whole(entities: ReadonlyMap<string, Entity>, values: Values): Values {
  const { fieldRules } = values
  if (fieldRules === undefined) return values
  const rules = [...(fieldRules as FieldRule[])]
  for (const { resource, field, rule } of fieldRules as FieldRule[]) {
    if (rule !== 'hidden') continue
    for (const [name, from] of tellers(entities.get(resource))) {
      const said = rules.some((one) => one.resource === resource && one.field === name && one.rule === 'hidden')
      if (from?.includes(field) && !said) rules.push({ resource, field: name, rule })
    }
  }
  return { ...values, fieldRules: rules }
}

/** The members and parts of a noun that tell others, with those that they tell. */
const tellers = (entity: Entity | undefined): [string, readonly string[] | undefined][] => [
  ...Object.entries(entity?.all ?? {}).map(([name, { from }]): [string, readonly string[] | undefined] => [name, from]),
  ...Object.entries(entity?.parts ?? {}),
]

interface Permission {
  readonly resource: string
  readonly action: Action
}

interface FieldRule {
  readonly resource: string
  readonly field: string
  readonly rule: 'hidden' | 'readOnly'
}

function refuseUnfit(entities: ReadonlyMap<string, Entity>, { permissions, fieldRules }: Values): void {
  const errors: MemberError[] = []
  const wrong = (path: string, message: string) => void errors.push({ path, message, code: 'invalid_value' })
  for (const [index, { resource, action }] of ((permissions ?? []) as Permission[]).entries()) {
    const path = `permissions.${index}`
    if (!entities.has(resource) && resource !== 'comment') wrong(`${path}.resource`, 'must be a type, as contact')
    else if (!isGrantable(resource, action))
      wrong(path, `must not ${action} a ${resource}: only owners and administrators say who may do what`)
  }
  for (const [index, { resource, field }] of ((fieldRules ?? []) as FieldRule[]).entries()) {
    const path = `fieldRules.${index}`
    const entity = entities.get(resource)
    if (!entity) wrong(`${path}.resource`, 'must be a type, as contact')
    else if (!entity.all[field] && !entity.parts?.[field]) wrong(`${path}.field`, `must be a member of a ${resource}`)
    else if (resource === lookup.type) wrong(`${path}.resource`, 'must not be a pick list: forms are filled in by it')
    else if (neededMembers(entity).has(field)) wrong(`${path}.field`, 'must be a member that nothing else is told by')
  }
  if (errors.length > 0) throw invalid(errors)
}
