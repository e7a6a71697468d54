import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { seenMembers } from '../../kernel/entity/field-rules.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import type { Rights } from '../../kernel/rights.ts'
import { searchedFields, searchedTexts } from './document.ts'
import { type LiveRecord, readRecords } from './records.queries.ts'
import type { Candidate } from './search.queries.ts'
import { wordsOf } from './words.ts'

/** A record as somebody sees it: without the members that are hidden from him, and what these point at. */
export const seenLive = (rights: Rights, entity: Entity, live: LiveRecord): LiveRecord => ({
  ...live,
  record: seenBy(rights, entity, live.record),
  target: entity.subtitle !== undefined && hides(rights, entity.type, entity.subtitle) ? null : live.target,
})

/** Whether a role hides a member of a type. */
export const hides = (rights: Rights, type: string, member: string): boolean =>
  rights.fields?.(type)?.hidden.has(member) ?? false

const seenBy = (rights: Rights, { type }: Entity, record: Values): Values => seenMembers(rights.fields?.(type), record)

/**
 * Leaves out the candidates that only what is hidden from the caller has brought: that they are found would tell it. The
 * documents know words and not from which member they come, so that these candidates are held against their records.
 */
export async function onlySeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  candidates: readonly Candidate[],
  words: readonly string[],
  meant: readonly string[],
): Promise<readonly Candidate[]> {
  const { rights } = tx.ctx
  const veiled = [...new Set(candidates.map(({ type }) => type))].flatMap((type) => {
    const entity = entities.get(type)
    return entity && words.length > 0 && hidesWords(rights, entity) ? [entity] : []
  })
  if (veiled.length === 0) return candidates
  const found = await Promise.all(
    veiled.map(async (entity) => {
      const ids = candidates.filter(({ type }) => type === entity.type).map(({ id }) => id)
      const records = await readRecords(tx, entities, entity, ids)
      return records.filter(({ record }) => hasAll(textsOf(entity, seenBy(rights, entity, record)), words, meant))
    }),
  )
  const told = new Set(found.flat().map(({ id }) => id))
  return candidates.filter(({ type, id }) => told.has(id) || !veiled.some((entity) => entity.type === type))
}

function hidesWords(rights: Rights, entity: Entity): boolean {
  const hidden = rights.fields?.(entity.type)?.hidden
  if (!hidden) return false
  return hidden.has('customFields') || searchedFields(entity).some(({ name }) => hidden.has(name))
}

const textsOf = (entity: Entity, record: Values): string[] => [
  entity.title(record),
  ...searchedTexts(entity, record).map(([, text]) => text),
]

function hasAll(texts: readonly string[], words: readonly string[], meant: readonly string[]): boolean {
  const forms = texts.flatMap((text) => wordsOf(text).flatMap(({ forms }) => forms))
  const near = forms.some((form) => meant.includes(form))
  return words.every((word) => forms.some((form) => form.startsWith(word)) || near)
}
