import type { Tx } from '../../kernel/db/database.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { seenMembers } from '../../kernel/entity/field-rules.ts'
import type { Values } from '../../kernel/entity/repository.ts'
import type { Rights } from '../../kernel/rights.ts'
import { searchedFields, searchedTexts } from './document.ts'
import { type LiveRecord, readRecords } from './records.queries.ts'
import type { Candidate, Sort } from './search.queries.ts'
import { plainText, wordsOf } from './words.ts'

/** A word that was typed, and words of the vocabulary that may have been meant. */
export interface AskedWord {
  readonly word: string
  readonly near: readonly { readonly word: string }[]
}

/** A record as somebody sees it: without the members that are hidden from him, and what these point at. */
export const seenLive = (rights: Rights, entity: Entity, live: LiveRecord): LiveRecord => ({
  ...live,
  record: seenBy(rights, entity, live.record),
  target: entity.subtitle !== undefined && hides(rights, entity.type, entity.subtitle) ? null : live.target,
})

/** Whether a role hides a member of a type. */
export const hides = (rights: Rights, type: string, member: string): boolean =>
  rights.fields?.(type)?.hidden.has(member) ?? false

const seenBy = (rights: Rights, entity: Entity, record: Values): Values =>
  seenMembers(entity, rights.fields?.(entity.type), record)

/**
 * Leaves out the candidates that only what is hidden from the caller has brought, and ranks the others by what he sees: that
 * they are found, or found before others, would tell it. The documents know words and not from which member they come, so
 * that these candidates are held against their records.
 */
export async function onlySeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  candidates: readonly Candidate[],
  asked: readonly AskedWord[],
  sort: Sort,
): Promise<readonly Candidate[]> {
  const { rights } = tx.ctx
  const veiled = [...new Set(candidates.map(({ type }) => type))].flatMap((type) => {
    const entity = entities.get(type)
    return entity && asked.length > 0 && hidesWords(rights, entity) ? [entity] : []
  })
  if (veiled.length === 0) return candidates
  const found = await Promise.all(
    veiled.map(async (entity) => {
      const ids = candidates.filter(({ type }) => type === entity.type).map(({ id }) => id)
      const records = await readRecords(tx, entities, entity, ids)
      return records.map(({ id, record }): [string, number] => [
        id,
        scoreOf(entity, seenBy(rights, entity, record), asked),
      ])
    }),
  )
  const scores = new Map(found.flat())
  const seen = candidates.flatMap((candidate) => {
    if (!veiled.some(({ type }) => type === candidate.type)) return [candidate]
    const score = scores.get(candidate.id) ?? 0
    return score > 0 ? [{ ...candidate, score }] : []
  })
  return sort === 'relevance' ? seen.toSorted((a, b) => b.score - a.score || b.id.localeCompare(a.id)) : seen
}

function hidesWords(rights: Rights, entity: Entity): boolean {
  const hidden = rights.fields?.(entity.type)?.hidden
  if (!hidden) return false
  return hidden.has('customFields') || searchedFields(entity).some(({ name }) => hidden.has(name))
}

/**
 * How well a record fits, about as the documents rank: by its title, and by where each word stands best. 0 unless each word
 * is there by itself, or by one that it was perhaps meant for.
 */
function scoreOf(entity: Entity, record: Values, asked: readonly AskedWord[]): number {
  const title = entity.title(record)
  const forms = [['A', title] as const, ...searchedTexts(entity, record)].flatMap(([weight, text]) =>
    wordsOf(text).flatMap(({ forms }) => forms.map((form) => ({ form, weight: weights[weight] }))),
  )
  const best = asked.map(({ word, near }) =>
    Math.max(
      0,
      ...forms.map(({ form, weight }) => {
        if (form === word) return 2 * weight
        return form.startsWith(word) || near.some((other) => other.word === form) ? weight : 0
      }),
    ),
  )
  if (best.includes(0)) return 0
  const [key, typed] = [plainText(title), asked.map(({ word }) => word).join(' ')]
  const lift = key === typed ? 20 : key.startsWith(typed) ? 10 : 0
  return lift + best.reduce((sum, one) => sum + one, 0) / asked.length
}

const weights = { A: 1, B: 0.4, C: 0.2, D: 0.1 } as const
