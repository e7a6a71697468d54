import sql, { empty, type Sql } from 'sql-template-tag'
import type { Catalogue } from '../../events.ts'
import { type Ctx, isMachine } from '../../kernel/context.ts'
import type { ActivityFilters } from './filters.ts'

/** Which activities a caller may see. */
export interface Visibility {
  /** The types of which he may read every record; null: he may read everything. Of others he sees what he did. */
  readonly types: readonly string[] | null
  /** Whether he sees what is personal to others: who signed in when. */
  readonly personal: boolean
  /** Actions that only personal activities have. */
  readonly personalActions: readonly string[]
  readonly me: string
}

/** Works out what a caller may see from his rights. */
export function visibilityOf(ctx: Ctx, catalogue: Catalogue): Visibility {
  const { types, personalActions } = catalogue
  const open = types.filter((type) => ctx.rights.scope(type, 'read') === 'all')
  return {
    types: open.length === types.length ? null : open,
    personal: ctx.rights.role === 'owner' || ctx.rights.role === 'admin',
    personalActions,
    // What a key did is its own; what its maker did is not.
    me: isMachine(ctx) ? (ctx.actor.id ?? '') : ctx.rights.userId,
  }
}

/** The condition over alias `a`, for a list with these filters. */
export function visible({ types, personal, personalActions, me }: Visibility, filters: ActivityFilters): Sql {
  // Of one record that the caller may read he sees the whole timeline but what is personal.
  const open =
    types === null || filters.entityId !== undefined
      ? empty
      : sql`and (a.actor_id = ${me} or a.entity_type = any(${types}))`
  if (personal) return open
  // An index of its own serves this: among all sign-ins his own would be looked for one by one.
  if (personalActions.includes(filters.action ?? '')) return sql`${open} and a.personal and a.actor_id = ${me}`
  return sql`${open} and (not a.personal or a.actor_id = ${me})`
}
