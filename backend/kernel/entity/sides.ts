import type { Binder } from '../db/plan.ts'
import { columnOf, type Entity } from './define.ts'
import { documentSql } from './document.ts'
import { createdChanges, eventSql } from './event-sql.ts'
import type { Field } from './fields.ts'
import type { Registry } from './registry.ts'

/** How the side tables of a record are to follow: a new record enters them, a changed one follows, one that leaves the lists clears them. */
export type SideChange = 'enter' | 'follow' | 'clear'

/**
 * CTEs that bring what is new to the narrow side tables, in the statement of the change itself. What is no longer so goes
 * by {@link leavingSql}.
 */
export function sideSql(
  entity: Entity,
  names: readonly string[],
  change: SideChange,
  registry: Registry,
  bind: Binder,
): string[] {
  if (change === 'clear') return []
  return names.flatMap((name) => {
    const field = entity.all[name]
    if (field?.side === 'tags') return tagsSql(entity, field, registry, bind)
    if (field?.side === 'links') return linksSql(entity, name, field, bind)
    if (field?.side === 'custom') return customSql(bind)
    return []
  })
}

/**
 * SQL for more columns of a row `r` as it is now, each of which takes side rows out that are no longer so. They are functions,
 * because the statement itself does not see what somebody wrote for whom it waited.
 */
export function leavingSql(entity: Entity, names: readonly string[], change: SideChange, bind: Binder): string {
  const tenant = bind('tenant', 'uuid')
  if (change === 'clear')
    return Object.values(entity.all).some(({ side }) => side) ? `, leave_sides(${tenant}, r.id) as sides_left` : ''
  return names
    .flatMap((name) => {
      const field = entity.all[name]
      if (!field?.side) return []
      const column = columnOf(name, field)
      const leaving = {
        tags: () => `leave_tags(${tenant}, r.id, r.${column})`,
        links: () => `leave_links(${tenant}, r.id, '${name}', ${linkedIds(field, `r.${column}`)})`,
        custom: () =>
          `leave_custom(${tenant}, r.id, ${bind('customTouched', 'uuid[]')}, ${bind('customRows', 'jsonb')})`,
      }[field.side]
      return [`, ${leaving()} as ${column}_left`]
    })
    .join('')
}

/** SQL: nobody renames the tags that a change brings until it is committed. Asked before the row is locked, as who renames locks in that order. */
export const tagsHeldSql = (entity: Entity, names: readonly string[], bind: Binder): string =>
  names.some((name) => entity.all[name]?.side === 'tags')
    ? `and (select hold_tags(${bind('tenant', 'uuid')}, ${bind('tagNames', 'text[]')}))`
    : ''

function tagsSql(entity: Entity, field: Field, registry: Registry, bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const names = bind('tagNames', 'text[]')
  const tag = registry.entities.get(field.makes ?? '')
  return [
    `tags_in as (insert into record_tags (tenant_id, record_type, tag, created_at, record_id)
       select ${tenant}, '${entity.type}', tag, n.created_at, n.id from after n, unnest(n.tags) tag on conflict do nothing)`,
    `tags_made as (insert into tags (tenant_id, id, name, created_at, updated_at, created_by_id)
       select ${tenant}, made.id, made.name, now(), now(), ${bind('actor', 'uuid')}
       from after n cross join lateral unknown_tags(${tenant}, ${names}) as unknown(names),
         unnest(${names}, ${bind('tagIds', 'uuid[]')}) as made(name, id)
       where made.name = any(unknown.names)
       on conflict do nothing returning *)`,
    // Its event takes the id of the tag: with one of its own, every write with tags would have to bring it along.
    ...(tag
      ? [
          `tags_shown as (select r.*, ${documentSql(tag, 'jsonb')} as doc from tags_made r)`,
          `tags_told as (${eventSql(tag, "'tag.created'", createdChanges, 'tags_shown n', { id: 'n.id', data: "'{}'" }, bind)})`,
        ]
      : []),
  ]
}

function linksSql(entity: Entity, name: string, field: Field, bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const column = columnOf(name, field)
  const wanted =
    field.kind === 'related'
      ? `select want.id, want.type from ${relatedRows(`n.${column}`)}`
      : `select unnest(n.${column}) as id, '${field.ref}' as type`
  return [
    `${column}_in as (insert into record_links (tenant_id, record_type, member, target_id, created_at, record_id, target_type)
       select ${tenant}, '${entity.type}', '${name}', w.id, n.created_at, n.id, w.type from after n cross join lateral (${wanted}) w on conflict do nothing)`,
  ]
}

const linkedIds = (field: Field, column: string): string =>
  field.kind === 'related' ? `array(select want.id from ${relatedRows(column)})` : column

const relatedRows = (column: string): string => `jsonb_to_recordset(${column}) as want(type text, id uuid)`

/** Values come with their place, so that a value that moves between fields meets nobody but other records. */
function customSql(bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const rows = `jsonb_to_recordset(${bind('customRows', 'jsonb')}) as w("fieldId" uuid, place smallint, text text, number double precision, "unique" text)`
  return [
    `custom_in as (insert into custom_values (tenant_id, field_id, record_id, place, created_at, text_value, number_value, unique_value)
       select ${tenant}, w."fieldId", n.id, w.place, n.created_at, w.text, w.number, w."unique" from after n, ${rows}
       on conflict (tenant_id, field_id, record_id, place)
         do update set text_value = excluded.text_value, number_value = excluded.number_value, unique_value = excluded.unique_value)`,
  ]
}
