import type { Binder } from '../db/plan.ts'
import { columnOf, type Entity } from './define.ts'
import { documentSql } from './document.ts'
import { createdChanges, eventSql } from './event-sql.ts'
import type { Field } from './fields.ts'
import type { Registry } from './registry.ts'

/** How the side tables of a record are to follow: a new record enters them, a changed one follows, one that leaves the lists clears them. */
export type SideChange = 'enter' | 'follow' | 'clear'

/**
 * CTEs that keep the narrow side tables in step with the row that `after` gives: rows that are no longer so go, new ones
 * come, all in the statement of the change itself.
 */
export function sideSql(
  entity: Entity,
  names: readonly string[],
  change: SideChange,
  registry: Registry,
  bind: Binder,
): string[] {
  if (change === 'clear') return clear(entity, bind)
  return names.flatMap((name) => {
    const field = entity.all[name]
    if (field?.side === 'tags') return tagsSql(entity, field, change, registry, bind)
    if (field?.side === 'links') return linksSql(entity, name, field, change, bind)
    if (field?.side === 'custom') return customSql(change, bind)
    return []
  })
}

function tagsSql(entity: Entity, field: Field, change: SideChange, registry: Registry, bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const tag = registry.entities.get(field.makes ?? '')
  return [
    ...follows(
      change,
      () => `tags_out as (delete from record_tags t using after n
       where t.tenant_id = ${tenant} and t.record_id = n.id and not (t.tag = any(n.tags)))`,
    ),
    `tags_in as (insert into record_tags (tenant_id, record_type, tag, created_at, record_id)
       select ${tenant}, '${entity.type}', tag, n.created_at, n.id from after n, unnest(n.tags) tag on conflict do nothing)`,
    `tags_made as (insert into tags (tenant_id, id, name, created_at, updated_at, created_by_id)
       select ${tenant}, made.id, made.name, now(), now(), ${bind('actor', 'uuid')}
       from after n, unnest(${bind('tagNames', 'text[]')}, ${bind('tagIds', 'uuid[]')}) as made(name, id)
       where not exists (select 1 from tags t where t.tenant_id = ${tenant} and t.name = made.name and t.deleted_at is null)
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

function linksSql(entity: Entity, name: string, field: Field, change: SideChange, bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const column = columnOf(name, field)
  const wanted =
    field.kind === 'related'
      ? `select want.id, want.type from jsonb_to_recordset(n.${column}) as want(type text, id uuid)`
      : `select unnest(n.${column}) as id, '${field.ref}' as type`
  return [
    ...follows(
      change,
      () => `${column}_out as (delete from record_links l using after n
       where l.tenant_id = ${tenant} and l.record_id = n.id and l.member = '${name}' and l.target_id not in (select w.id from (${wanted}) w))`,
    ),
    `${column}_in as (insert into record_links (tenant_id, record_type, member, target_id, created_at, record_id, target_type)
       select ${tenant}, '${entity.type}', '${name}', w.id, n.created_at, n.id, w.type from after n cross join lateral (${wanted}) w on conflict do nothing)`,
  ]
}

/** Values come with their place, so that a value that moves between fields meets nobody but other records. */
function customSql(change: SideChange, bind: Binder): string[] {
  const tenant = bind('tenant', 'uuid')
  const rows = `jsonb_to_recordset(${bind('customRows', 'jsonb')}) as w("fieldId" uuid, place smallint, text text, number double precision, "unique" text)`
  return [
    ...follows(
      change,
      () => `custom_out as (delete from custom_values c using after n
       where c.tenant_id = ${tenant} and c.record_id = n.id and c.field_id = any(${bind('customTouched', 'uuid[]')})
         and not exists (select 1 from ${rows} where w."fieldId" = c.field_id and w.place = c.place))`,
    ),
    `custom_in as (insert into custom_values (tenant_id, field_id, record_id, place, created_at, text_value, number_value, unique_value)
       select ${tenant}, w."fieldId", n.id, w.place, n.created_at, w.text, w.number, w."unique" from after n, ${rows}
       on conflict (tenant_id, field_id, record_id, place)
         do update set text_value = excluded.text_value, number_value = excluded.number_value, unique_value = excluded.unique_value)`,
  ]
}

/** What only a record can need that was there before. Its parameters are bound only then. */
const follows = (change: SideChange, cte: () => string): string[] => (change === 'follow' ? [cte()] : [])

function clear(entity: Entity, bind: Binder): string[] {
  const sides = new Set(Object.values(entity.all).map((field) => field.side))
  const out = (table: string) =>
    `${table}_out as (delete from ${table} s using after n where s.tenant_id = ${bind('tenant', 'uuid')} and s.record_id = n.id)`
  return [
    ...(sides.has('tags') ? [out('record_tags')] : []),
    ...(sides.has('links') ? [out('record_links')] : []),
    ...(sides.has('custom') ? [out('custom_values')] : []),
  ]
}
