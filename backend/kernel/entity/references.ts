import type { Binder } from '../db/plan.ts'
import type { Rights, Scope } from '../rights.ts'
import { resolvedSql } from './aliases.ts'
import { columnOf, type Entity } from './define.ts'
import type { Field } from './fields.ts'
import type { Registry } from './registry.ts'
import { scopeShape, scopeSql, scopeUsers } from './scope.ts'

/** How the references of a write are held against what there is. */
export interface ReferenceShape {
  /** The scopes in which the caller reads what members may refer to, by type; types of which he reads all are not in it. */
  readonly reads: Reads
  /** Whether what is written follows from records that the caller need not read: their ids are the parameter `given`. */
  readonly withGiven: boolean
  /** Whether custom fields refer to users, which are to be checked. */
  readonly withUsers: boolean
}

type Reads = Readonly<Record<string, Scope>>

/** The scopes in which somebody reads what these members of a noun may refer to. */
export function readsOf(entity: Entity, names: readonly string[], registry: Registry, rights: Rights): Reads {
  const reads: Record<string, Scope> = {}
  for (const type of names.flatMap((name) => typesOf(entity.all[name]))) {
    const scope = registry.target(type).readAs ? rights.scope(type, 'read') : 'all'
    if (scope !== 'all') reads[type] = scope
  }
  return reads
}

/** What is a part of a plan's shape: the kinds of scopes, not their ids. */
export const readsShape = (reads: Reads): string[] =>
  Object.entries(reads).map(([type, scope]) => `${type} ${scopeShape(scope)}`)

/** The parameters that go with scopes of reading. */
export const readsParameters = (reads: Reads): Record<string, unknown> =>
  Object.fromEntries(Object.entries(reads).map(([type, scope]) => [`${readers}${type}`, scopeUsers(scope)]))

/** What the parameters of {@link readsParameters} begin with. */
export const readers = 'readers_'

/**
 * SQL for `array[...]` of the members whose references do not resolve for the caller. What the record referred to before
 * (alias `o`) may be sent back although it has been deleted since, or is not his to read. What has no foreign key is
 * guarded by this alone.
 */
export function missingSql(
  entity: Entity,
  names: readonly string[],
  registry: Registry,
  bind: Binder,
  { withOld, ...shape }: ReferenceShape & { withOld: boolean; derived: readonly string[] },
): string {
  const checks = names.flatMap((name) => {
    const field = entity.all[name]
    if (!field || !isReference(field)) return []
    const exists = existing(registry, bind, shape.derived.includes(name) ? { reads: {}, withGiven: false } : shape)
    return [`case when ${checkSql(name, field, registry, bind, withOld, exists)} then null else '${name}' end`]
  })
  const missing = checks.length === 0 ? [] : [`array_remove(array[${checks.join(', ')}]::text[], null)`]
  if (shape.withUsers) {
    const known = existing(registry, bind, shape)('user', 'want.id')
    const wanted = `unnest(${bind('customUsers', 'uuid[]')}, ${bind('customUserKeys', 'text[]')}) as want(id, key)`
    missing.push(`array(select 'customFields.' || want.key from ${wanted} where not ${known})`)
  }
  return missing.length === 0 ? `'{}'::text[]` : missing.join(' || ')
}

const isReference = (field: Field): boolean => field.ref !== undefined || field.refs !== undefined

const typesOf = (field: Field | undefined): readonly string[] => field?.refs ?? (field?.ref ? [field.ref] : [])

/** SQL for whether there is a record of a type with an id. */
type Exists = (type: string, id: string) => string

function checkSql(
  name: string,
  field: Field,
  registry: Registry,
  bind: Binder,
  withOld: boolean,
  exists: Exists,
): string {
  const old = `o.${columnOf(name, field)}`
  const parameter = resolvedSql(field, bind(name, field.type), registry, bind)
  if (field.refs) {
    const types = field.refs.map((type) => `when '${type}' then ${exists(type, 'want.id')}`)
    const kept = withOld ? `${old} @> jsonb_build_array(jsonb_build_object('type', want.type, 'id', want.id)) or ` : ''
    return `not exists (select 1 from jsonb_to_recordset(${parameter}) as want(type text, id uuid)
      where not (${kept}case want.type ${types.join(' ')} else false end))`
  }
  const type = field.ref ?? ''
  if (field.many) {
    const kept = withOld ? `want.id = any(${old}) or ` : ''
    return `not exists (select 1 from unnest(${parameter}) as want(id) where not (${kept}${exists(type, 'want.id')}))`
  }
  const kept = withOld ? `${old} is not distinct from ${parameter} or ` : ''
  return `(${parameter} is null or ${kept}${exists(type, parameter)})`
}

const existing =
  (registry: Registry, bind: Binder, { reads, withGiven }: Pick<ReferenceShape, 'reads' | 'withGiven'>): Exists =>
  (type, id) => {
    const { table, live, readAs } = registry.target(type)
    const scope = reads[type]
    const seen = readAs && scope ? scopeSql(readAs, scope, 'x', bind, `${readers}${type}`) : null
    const given = withGiven && seen !== null ? `x.id = any(${bind('given', 'uuid[]')}) or ` : ''
    return `exists (select 1 from ${table} x where x.tenant_id = ${bind('tenant', 'uuid')} and x.id = ${id} and ${live}${
      seen === null ? '' : ` and (${given}${seen})`
    })`
  }
