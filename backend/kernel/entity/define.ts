import { z } from 'zod'
import { type Field, text, time } from './fields.ts'

/** A sentence of the change that the write itself recognises, in order of precedence. SQL over `o` (before) and `n` (after). */
export interface Verb {
  readonly verb: string
  readonly when: string
}

/** By what two records of a noun may be the same, and what becomes of their values when they are merged. */
export interface Sameness {
  /** Members that hold evidence, by its kind; the first names it in the reasons. */
  readonly email?: readonly string[]
  readonly phone?: readonly string[]
  readonly domain?: readonly string[]
  readonly name: { readonly of: 'person' | 'organisation'; readonly members: readonly string[] }
  /** Where a value goes that another record's is preferred to: `{ email: 'emails' }`. */
  readonly spare?: Readonly<Record<string, string>>
  /** Flags that hold for the whole as soon as they hold for one (`doNotContact`). */
  readonly any?: readonly string[]
}

export interface EntityDefinition {
  /** Singular: in sockets, search, timeline and references. */
  readonly type: string
  /** Plural: the REST path, and the table unless `table` says otherwise. */
  readonly path: string
  readonly table?: string
  readonly fields: Readonly<Record<string, Field>>
  /** What is it called? The one answer for timeline, notifications and search; from the record as the API shows it. */
  title(record: Readonly<Record<string, unknown>>): string
  /**
   * What its derived `name` is worked out from: the first of these that say anything, as the column says it too. For whom
   * some of them are hidden it is worked out anew.
   */
  readonly nameFrom?: readonly (readonly string[])[]
  /** Member that points at the record whose title is the subtitle in search (`companyId`). */
  readonly subtitle?: string
  /** Members of users who hold the record, for the scope `own`; without any, who created it does. */
  readonly heldBy?: readonly string[]
  /** Its records can be shared with users and teams one by one. */
  readonly shareable?: boolean
  readonly verbs?: readonly Verb[]
  /** Parts that stand in tables of their own, as activities call them, by the members that they would tell. */
  readonly parts?: Readonly<Record<string, readonly string[]>>
  /** The column in which each change leaves who made it, for triggers that keep a history. */
  readonly changedBy?: string
  /** Members of which at least one must be given on create. */
  readonly requireOneOf?: readonly string[]
  /** Members by which a row of a table may name one of them (`company.name`); found by their normal form where they have one. */
  readonly namedBy?: readonly string[]
  /** Whether it stands in the search of all records. */
  readonly searchable?: boolean
  /** Its duplicates are found, merged and unmerged. */
  readonly sameness?: Sameness
  /** A create as the API reference shows it. */
  readonly example: Readonly<Record<string, unknown>>
}

/** A noun with everything worked out: the engine's only view of it. */
export interface Entity extends EntityDefinition {
  readonly table: string
  /** The common members first, then the noun's own. */
  readonly all: Readonly<Record<string, Field>>
  readonly createSchema: z.ZodType<Record<string, unknown>>
  readonly patchSchema: z.ZodType<Record<string, unknown>>
  readonly putSchema: z.ZodType<Record<string, unknown>>
  /** A create of which anything may be left out: what a verb of another noun fills in. */
  readonly partSchema: z.ZodType<Record<string, unknown>>
  readonly recordSchema: z.ZodType
  /** A record as a read shows it: whole, or what `fields` and `include` asked for. */
  readonly shownSchema: z.ZodType
}

/** A noun whose duplicates are found, and whose records can be merged. */
export type Mergeable = Entity & { readonly sameness: Sameness }

/** The nouns that say by what their records are the same. */
export const mergeableOf = (entities: ReadonlyMap<string, Entity>): Mergeable[] =>
  [...entities.values()].filter((entity): entity is Mergeable => entity.sameness !== undefined)

/** Declares a noun. REST, validation, OpenAPI, events, diffs, search documents and bulk follow from it. */
export function defineEntity(definition: EntityDefinition): Entity {
  const table = definition.table ?? definition.path
  // Without a prototype: a client may ask for the member `constructor`, and there is none.
  const all: Record<string, Field> = Object.assign(Object.create(null), common, definition.fields, lifecycle)
  for (const [name, field] of Object.entries(all)) {
    if (field.default === null) throw new Error(`${definition.type}.${name}: a default of null is no default`)
  }
  const whole = recordSchema(definition, all)
  return {
    ...definition,
    table,
    all,
    createSchema: requestSchema(definition, all, 'create'),
    patchSchema: requestSchema(definition, all, 'patch'),
    putSchema: requestSchema(definition, all, 'put'),
    partSchema: requestSchema(definition, all, 'part'),
    recordSchema: whole,
    shownSchema: z.union([whole, sparseSchema(definition, all)]),
  }
}

/** The column in which a member lives. */
export const columnOf = (name: string, field: Field): string =>
  field.column ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const common: Readonly<Record<string, Field>> = {
  id: { kind: 'id', schema: z.guid(), type: 'uuid', readOnly: true },
  createdAt: time({ readOnly: true, sort: true, filter: ['eq', 'gt', 'gte', 'lt', 'lte'] }),
  updatedAt: time({ readOnly: true, sort: true, filter: ['eq', 'gt', 'gte', 'lt', 'lte'] }),
  createdById: {
    kind: 'ref',
    schema: z.guid(),
    type: 'uuid',
    readOnly: true,
    ref: 'user',
    include: 'createdBy',
    filter: ['eq', 'in'],
  },
  version: { kind: 'number', schema: z.int(), type: 'integer', readOnly: true },
  externalId: text({ filter: ['eq', 'in', 'isNull'], describe: 'Your own key for it; unique per resource' }),
}

const lifecycle: Readonly<Record<string, Field>> = {
  archivedAt: time({ readOnly: true, filter: ['isNull'] }),
}

/** The type as it stands in the names of operations and schemas: `custom_field` → `CustomField`. */
export const named = (type: string): string =>
  type.replace(/(^|_)(\w)/g, (_all, _dash, letter: string) => letter.toUpperCase())

function requestSchema(
  definition: EntityDefinition,
  all: Readonly<Record<string, Field>>,
  mode: 'create' | 'patch' | 'put' | 'part',
): z.ZodType<Record<string, unknown>> {
  const shape: Record<string, z.ZodType> = {}
  for (const [name, field] of Object.entries(all)) {
    const creates = mode === 'create' || mode === 'part'
    if (field.readOnly || (field.fixed && !creates)) {
      // May be sent back: the statement compares it with what the record holds.
      if (!creates) shape[name] = sentBack.optional()
      continue
    }
    const schema = (mode === 'patch' && field.merge) || field.schema
    const nullable = isNeverNull(field) ? schema : schema.nullable()
    shape[name] = field.required && mode !== 'patch' && mode !== 'part' ? schema : nullable.optional()
  }
  const object = z.strictObject(shape)
  const oneOf = definition.requireOneOf
  if (!oneOf || mode === 'patch' || mode === 'part') return object
  return object.refine((value) => oneOf.some((name) => value[name] !== undefined && value[name] !== null), {
    message: `one of ${oneOf.join(', ')} is required`,
    path: [oneOf[0] ?? ''],
  })
}

/** What Postgres could not even compare with the record is not what the record holds. */
const sentBack = z.unknown().refine(isComparable, { message: 'is read-only and differs from what it is' })

function isComparable(value: unknown): boolean {
  try {
    return !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(JSON.stringify(value))
  } catch {
    return false
  }
}

function recordSchema(definition: EntityDefinition, all: Readonly<Record<string, Field>>): z.ZodType {
  return z.object(recordShape(definition, all)).meta({ id: named(definition.type), example: definition.example })
}

function sparseSchema(definition: EntityDefinition, all: Readonly<Record<string, Field>>): z.ZodType {
  const related = z.record(z.string(), z.unknown())
  const includes = Object.values(all).flatMap(({ include, many }) =>
    include ? [[include, many ? z.array(related) : related.nullable()] as const] : [],
  )
  const shape: Record<string, z.ZodType> = { ...recordShape(definition, all), ...Object.fromEntries(includes) }
  return z
    .object(shape)
    .partial()
    .meta({ id: `${named(definition.type)}Sparse` })
}

function recordShape(definition: EntityDefinition, all: Readonly<Record<string, Field>>): Record<string, z.ZodType> {
  const needed = neededMembers(definition)
  const shape: Record<string, z.ZodType> = {}
  for (const [name, field] of Object.entries(all)) {
    const value = field.kind === 'customFields' ? z.record(z.string(), z.unknown()) : outputOf(field)
    const shown = isNeverNull(field) || always.has(name) ? value : value.nullable()
    // Absent where a role of the tenant's own hides it.
    shape[name] = needed.has(name) ? shown : shown.optional()
  }
  return shape
}

/** The members that no role hides: lists, rights, sentences and search results are made with them. */
export function neededMembers({ title, heldBy = [] }: EntityDefinition): ReadonlySet<string> {
  const needed = new Set(['id', 'createdAt', 'updatedAt', 'createdById', 'version', 'archivedAt', ...heldBy])
  // Those that a title is made of are those that are read when one is made.
  title(
    new Proxy<Record<string, unknown>>(
      {},
      {
        get: (_target, name) => {
          needed.add(String(name))
          return undefined
        },
      },
    ),
  )
  return needed
}

/** Whether a member always has a value. */
export const isNeverNull = (field: Field | undefined): boolean =>
  field !== undefined && (field.required === true || field.neverNull === true || field.default !== undefined)

const always = new Set(['id', 'createdAt', 'updatedAt', 'version'])

function outputOf(field: Field): z.ZodType {
  if (field.kind === 'ref' || field.kind === 'id') return z.uuid()
  if (field.kind === 'refs') return z.array(z.uuid())
  if (field.kind === 'tags' || field.kind === 'emails' || field.kind === 'phones') return z.array(z.string())
  if (field.kind === 'related') return z.array(z.object({ type: z.string(), id: z.uuid() }))
  if (field.kind === 'time') return z.iso.datetime({ precision: 3 })
  return field.schema
}
