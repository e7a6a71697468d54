import type { Binder } from '../db/plan.ts'
import { logColumns } from '../events/append.ts'
import type { Entity } from './define.ts'
import { sharesOf } from './scope.ts'

/** SQL for the changes of a record that was made: alias `n` after, with its `doc`. */
export const createdChanges = `(select coalesce(jsonb_agg(jsonb_build_object('field', m.key, 'oldValue', null, 'newValue', m.value)), '[]')
  from jsonb_each(n.doc) m
  where m.value not in ('null', '[]', '{}', '""') and m.key not in ('id', 'version', 'createdAt', 'updatedAt', 'createdById'))`

/** SQL for the changes of a record: alias `o` before and `n` after, each with its `doc`. */
export const changedChanges = `(select coalesce(jsonb_agg(jsonb_build_object('field', m.key, 'oldValue', o.doc -> m.key, 'newValue', m.value)), '[]')
  from jsonb_each(n.doc) m where m.value is distinct from o.doc -> m.key and m.key not in ('version', 'updatedAt'))`

/** SQL that appends the event of each row of alias `n`; its data are the parameter's unless they are said. */
export function eventSql(
  entity: Entity,
  name: string,
  changes: string,
  from: string,
  { id, data }: { id: string; data?: string },
  bind: Binder,
): string {
  return `insert into events (${logColumns})
    select ${bind('tenant', 'uuid')}, ${id}, ${bind('lane', 'smallint')}, ${name}, '${entity.type}', n.id, n.version,
      ${bind('actorJson', 'jsonb')}, ${bind('requestId', 'text')}, ${bind('operationId', 'uuid')}, ${bind('ip', 'text')}, ${bind('userAgent', 'text')},
      ${changes}, n.doc, ${data ?? bind('data', 'jsonb')}, ${sharesOf(entity, 'n')}
    from ${from} returning name, record_id, version`
}
