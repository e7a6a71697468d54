import { createHash } from 'node:crypto'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Field } from '../../kernel/entity/fields.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import { belongingOf } from '../../kernel/entity/scope.ts'
import { isId } from '../../kernel/ids.ts'
import { holdersOf, type Share } from '../../kernel/rights.ts'
import { plainText, wordsOf } from './words.ts'

/** A record as it stands in the table of documents, ready to be sent as JSON. */
export interface Document {
  readonly tenant_id: string
  readonly type: string
  readonly record_id: string
  readonly version: number
  /** A document stays when its record is deleted, so that an event that comes late cannot bring it back. */
  readonly deleted: boolean
  readonly title_key: string
  readonly tsv: string
  readonly owner_id: string | null
  readonly assignee_ids: readonly string[]
  readonly holders: readonly string[]
  readonly tags: readonly string[]
  readonly created_at: string
  readonly updated_at: string
}

/** The document of a record as the API shows it; who may read it by a share holds it too. */
export function documentOf(
  tenantId: string,
  entity: Entity,
  version: number,
  record: Values,
  shares: readonly Share[] = [],
): Document {
  const title = entity.title(record)
  const ownerId = isId(record.ownerId) ? record.ownerId : null
  const assignees = idsOf(record.assigneeIds)
  const holders = [...new Set([...holdersOf(belongingOf(entity, record)), ...shares.map(({ id }) => id)])]
  const tags = textsOf(record.tags)
  const marks = [
    ...tags.map(tagMark),
    ...new Set([...holders, ...assignees, ...(ownerId ? [ownerId] : [])].map(holderMark)),
  ]
  return {
    tenant_id: tenantId,
    type: entity.type,
    record_id: String(record.id),
    version,
    deleted: false,
    title_key: plainText(title).slice(0, 200).toWellFormed(),
    tsv: lexemes(keyOf(tenantId, entity.type), [['A', title], ...searchedTexts(entity, record)], marks),
    owner_id: ownerId,
    assignee_ids: assignees,
    holders,
    tags,
    created_at: String(record.createdAt),
    updated_at: String(record.updatedAt),
  }
}

/** What is left of a document when its record is deleted. */
export function tombstoneOf(tenantId: string, type: string, recordId: string, version: number, at: string): Document {
  return {
    tenant_id: tenantId,
    type,
    record_id: recordId,
    version,
    deleted: true,
    title_key: '',
    tsv: '',
    owner_id: null,
    assignee_ids: [],
    holders: [],
    tags: [],
    created_at: at,
    updated_at: at,
  }
}

/**
 * The beginning of every lexeme of a tenant's documents of a type. With it one index holds a range of words for each
 * tenant and type, so that a prefix or a common word costs what the tenant has of it, not what all tenants have.
 */
export const keyOf = (tenantId: string, type: string): string =>
  createHash('sha256').update(`${tenantId} ${type}`).digest('base64url').slice(0, keyLength)

/** How long that beginning is; the vocabulary cuts it off (`database/migrations/0005_search.sql`). */
const keyLength = 5

/** The lexeme by which a tag is looked up. */
export const tagMark = (tag: string): string => `#${tag}`

/** The lexeme by which the records of a user are looked up. */
export const holderMark = (userId: string): string => `@${userId.toLowerCase()}`

/** A lexeme as it stands in the text form of a tsvector or a tsquery. */
export const quoted = (lexeme: string): string => `'${lexeme.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`

/** A member that the search looks into. */
export interface SearchedField {
  readonly name: string
  readonly weight: NonNullable<Field['searched']>
  readonly isNumber: boolean
}

/** The members of a noun that the search looks into; walking all of them for each record was a fifth of its document. */
export function searchedFields(entity: Entity): readonly SearchedField[] {
  const known = searched.get(entity)
  if (known) return known
  const fields = Object.entries(entity.all).flatMap(([name, { searched: weight, kind }]) =>
    weight ? [{ name, weight, isNumber: kind.startsWith('phone') }] : [],
  )
  searched.set(entity, fields)
  return fields
}

const searched = new WeakMap<Entity, readonly SearchedField[]>()

type Weighted = readonly [weight: SearchedField['weight'], text: string]

/** The texts of a record that the search looks into, with their weights. */
export function searchedTexts(entity: Entity, record: Values): Weighted[] {
  const texts = searchedFields(entity).flatMap(({ name, weight, isNumber }) => {
    const values = textsOf(record[name])
    const numbers = isNumber ? values.map((value) => value.replace(/\D/g, '')) : []
    return [...values, ...numbers].map((text): Weighted => [weight, text])
  })
  return [...texts, ...customTexts(record.customFields)]
}

function customTexts(values: unknown): Weighted[] {
  if (typeof values !== 'object' || values === null) return []
  return Object.values(values)
    .flatMap(textsOf)
    .filter((text) => !isId(text))
    .map((text) => ['D', text])
}

/** A tsvector holds at most a megabyte of words and positions to 16,383; what a record has beyond this is not indexed. */
const mostBytes = 800_000
const lastPosition = 16_383
const mostPositions = 8

function lexemes(key: string, texts: readonly Weighted[], marks: readonly string[]): string {
  const found = new Map<string, string[]>(marks.map((mark) => [mark, []]))
  let bytes = 0
  let position = 0
  for (const [weight, text] of texts) {
    for (const { forms } of wordsOf(text)) {
      position = Math.min(position + 1, lastPosition)
      for (const form of forms.length === 1 ? forms : new Set(forms)) {
        const places = found.get(form) ?? []
        if (places.length === mostPositions) continue
        bytes += places.length === 0 ? Buffer.byteLength(form) + key.length + 8 : 2
        if (bytes > mostBytes) return printed(key, found)
        places.push(`${position}${weight}`)
        found.set(form, places)
      }
    }
  }
  return printed(key, found)
}

function printed(key: string, found: ReadonlyMap<string, readonly string[]>): string {
  const parts = [...found].map(([form, places]) => {
    const lexeme = quoted(`${key}${form}`)
    return places.length === 0 ? lexeme : `${lexeme}:${places.join(',')}`
  })
  return parts.join(' ')
}

const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item): item is string => typeof item === 'string')

const idsOf = (value: unknown): string[] => textsOf(value).filter(isId)
