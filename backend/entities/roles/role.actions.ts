import sql from 'sql-template-tag'
import type { Database, Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Registry } from '../../kernel/entity/registry.ts'
import type { Repository, Values } from '../../kernel/entity/repository.ts'
import { invalid, invalidMember, type MemberError, rule } from '../../kernel/errors.ts'
import { type Action, isGrantable } from '../../kernel/rights.ts'

/** How many roles a tenant may have. */
const mostRoles = 200

/** Roles whose every write names nouns and members that there are, and which are deleted only when nobody has them. */
export function fittingRoles(db: Database, roles: Repository, { entities }: Registry): Repository {
  const creating = async (tx: Tx, values: Values): Promise<Values> => {
    refuseUnfit(entities, values)
    const [{ count } = { count: 0 }] = await tx.query<{ count: number }>(sql`
      select count(*)::integer as count from roles where tenant_id = ${tx.ctx.tenantId} and deleted_at is null`)
    if (count >= mostRoles) throw rule('TOO_MANY_ROLES', `A tenant has at most ${mostRoles} roles of its own`)
    return values
  }
  return {
    ...roles,
    create: async (tx, values, options) => roles.create(tx, await creating(tx, values), options),
    createOnce: async (tx, values, key) => roles.createOnce(tx, await creating(tx, values), key),
    update: (tx, id, values, options) => {
      refuseUnfit(entities, values)
      return roles.update(tx, id, values, options)
    },
    remove: (tx, id, expected, data) =>
      db.transaction(tx.ctx, async (inner) => {
        const removed = await roles.remove(inner, id, expected, data)
        const [holder] = await inner.query(sql`
          select 1 from users where tenant_id = ${inner.ctx.tenantId} and role_id = ${id} and deleted_at is null limit 1`)
        if (holder) throw rule('ROLE_IN_USE', 'Users have this role: give them another one first')
        return removed
      }),
  }
}

/** Owners and administrators have all rights: what a role of the tenant's own took from them would not hold. */
export function refuseRoleOfAll(values: Values, before: Values = {}): void {
  const { role, roleId } = { ...before, ...values }
  if (roleId != null && (role === 'owner' || role === 'admin'))
    throw invalidMember('roleId', `must be null: an ${role} has all rights`)
}

interface Permission {
  readonly resource: string
  readonly action: Action
}

interface FieldRule {
  readonly resource: string
  readonly field: string
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
    else if (!entity.all[field]) wrong(`${path}.field`, `must be a member of a ${resource}`)
    else if (isNeeded(entity, field)) wrong(`${path}.field`, 'must be a member that nothing else is told by')
  }
  if (errors.length > 0) throw invalid(errors)
}

/** What every list, right, sentence and search result is made with is seen by whoever may see the record. */
function isNeeded(entity: Entity, field: string): boolean {
  const always = ['id', 'createdAt', 'updatedAt', 'createdById', 'version', 'archivedAt']
  return always.includes(field) || (entity.heldBy ?? []).includes(field) || titleMembers(entity).has(field)
}

/** The members that a title is made of: those that are read when one is made. */
function titleMembers(entity: Entity): Set<string> {
  const read = new Set<string>()
  entity.title(
    new Proxy<Record<string, unknown>>(
      {},
      {
        get: (_target, name) => {
          read.add(String(name))
          return undefined
        },
      },
    ),
  )
  return read
}
