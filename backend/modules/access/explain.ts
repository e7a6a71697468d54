import type { Entity } from '../../kernel/entity/define.ts'
import { type Action, type Belonging, granteesOf, holdersOf, type Rights, reaches } from '../../kernel/rights.ts'

/** One rule and what it says of the question: `holds` is null where the rule was not come to. */
export interface Step {
  readonly rule: 'member' | 'role' | 'holder' | 'share' | 'fields'
  readonly holds: boolean | null
  readonly because: string
}

/** Whether somebody may do something with a record, rule by rule. */
export interface Explanation {
  readonly allowed: boolean
  readonly steps: readonly Step[]
}

/** The record that is asked about; without one the question is of the type. */
export type Asked = Belonging | null

/** Explains what the compiled rights of a user say; undefined rights: he is no active member. */
export function explain(rights: Rights | undefined, entity: Entity, action: Action, asked: Asked): Explanation {
  const { type } = entity
  if (!rights) return { allowed: false, steps: [step('member', false, 'Is no active member of the tenant')] }
  const member = step('member', true, 'Is an active member of the tenant')
  const scope = rights.scope(type, action)
  const fields = fieldsStep(rights, type)
  if (scope === 'none')
    return { allowed: false, steps: [member, step('role', false, `The role grants no ${action} of a ${type}`)] }
  if (scope === 'all')
    return {
      allowed: true,
      steps: [member, step('role', true, `The role grants ${action} of every ${type}`), ...fields],
    }
  const role = step('role', true, `The role grants ${action} of a ${type} with the scope ${scope.of ?? 'own'}`)
  if (asked === null) return { allowed: true, steps: [member, role, ...fields] }
  const { shares = [], ...held } = asked
  const holder = step('holder', reaches(scope, held), holderWords(rights, scope.userIds, held))
  const steps = [member, role, holder]
  if (holder.holds) return { allowed: true, steps: [...steps, ...fields] }
  const share =
    scope.shares === undefined
      ? step('share', false, `A share lets nobody ${action}`)
      : step(
          'share',
          reaches(scope, { ownerIds: [], createdById: null, shares }),
          sharesWords(granteesOf(scope), shares),
        )
  return { allowed: share.holds === true, steps: [...steps, share, ...(share.holds ? fields : [])] }
}

const step = (rule: Step['rule'], holds: boolean, because: string): Step => ({ rule, holds, because })

function holderWords({ userId }: Rights, reached: readonly string[], belonging: Belonging): string {
  const held = belonging.ownerIds.length > 0
  const holders = holdersOf(belonging)
  const what = held ? 'Owns it or is assigned to it' : 'Made it, and nobody owns it'
  if (holders.includes(userId)) return what
  if (holders.some((id) => reached.includes(id)))
    return held ? 'It belongs to somebody of the team' : 'Somebody of the team made it, and nobody owns it'
  return held ? 'It belongs to others' : 'Others made it, and nobody owns it'
}

function sharesWords(reached: readonly string[], shares: NonNullable<Belonging['shares']>): string {
  const theirs = shares.filter(({ id }) => reached.includes(id))
  if (theirs.length === 0) return 'It is shared with neither them nor their teams'
  return theirs.some(({ access }) => access === 'write') ? 'It is shared to be written' : 'It is shared to be read'
}

function fieldsStep(rights: Rights, type: string): Step[] {
  const rules = rights.fields?.(type)
  if (!rules) return []
  const words = [
    ...(rules.hidden.size > 0 ? [`does not see ${[...rules.hidden].join(', ')}`] : []),
    ...(rules.readOnly.size > 0 ? [`may not write ${[...rules.readOnly].join(', ')}`] : []),
  ]
  return [step('fields', true, `The role ${words.join(' and ')}`)]
}
