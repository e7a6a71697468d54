import type { Scored } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import { scores } from '../../entities/scoring-rules/scoring-rule.entity.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import { readRuled } from './score.queries.ts'
import { type ScoringDeps, scoringCtx, writeAllScores, writeScores } from './scores.ts'

/**
 * The subscription that scores records again when they, or what is counted around them, change. It compares before it
 * writes, so that a repeat is harmless; records of one request are written together.
 */
export function scoringSubscription(deps: ScoringDeps): Subscription<void> {
  return {
    name: 'scoring',
    patterns: ['contact.*', 'lead.*', 'interaction.*', 'deal.*'],
    prepare: async (batch) => {
      const ruled = await readRuled(deps.db.worker, [...new Set(batch.map(({ tenantId }) => tenantId))])
      const works = new Map<string, { event: DomainEvent; type: Scored; ids: Set<string> }>()
      for (const event of batch.filter(({ tenantId }) => ruled.has(tenantId))) {
        for (const { type, id } of touchedBy(event)) {
          const key = `${event.tenantId} ${event.requestId} ${type}`
          const work = works.get(key) ?? { event, type, ids: new Set<string>() }
          works.set(key, work)
          work.ids.add(id)
        }
      }
      for (const { event, type, ids } of works.values()) {
        await writeScores(deps, scoringCtx(event.tenantId, event.requestId), type, [...ids].sort())
      }
    },
  }
}

/** The subscription that scores all records of a tenant again when a rule changes. Its cursor is its own: it delays no record. */
export function rescoringSubscription(deps: ScoringDeps, signal: AbortSignal): Subscription<void> {
  return {
    name: 'rescoring',
    patterns: ['scoring_rule.*'],
    prepare: async (batch) => {
      const works = new Map(batch.map((event) => [`${event.tenantId} ${event.record?.resource}`, event]))
      for (const { tenantId, requestId, record } of works.values()) {
        const type = scoredOf(record?.resource)
        if (type) await writeAllScores(deps, scoringCtx(tenantId, requestId), type, { signal })
      }
    },
  }
}

const scoredOf = (type: unknown): Scored | undefined =>
  Object.keys(scores).find((known): known is Scored => known === type)

interface Touched {
  readonly type: Scored
  readonly id: string
}

/** Whose score an event may have changed. What scoring itself wrote is of no concern. */
function touchedBy({ name, type, recordId, record, changes }: DomainEvent): Touched[] {
  const own = scoredOf(type)
  if (own)
    return recordId === null || name === `${own}.scored` || name === `${own}.deleted`
      ? []
      : [{ type: own, id: recordId }]
  return around.flatMap((member) => [
    ...linked(record?.[member]),
    // Who is no longer linked counts less.
    ...changes.flatMap(({ field, oldValue }) => (field === member ? linked(oldValue) : [])),
  ])
}

/** The members through which deals and interactions stand around a record. */
const around = ['contactIds', 'participants', 'related']

/** Ids are of contacts, where they do not say of what. */
function linked(value: unknown): Touched[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((item): Touched[] => {
    if (typeof item === 'string') return [{ type: 'contact', id: item }]
    const type = scoredOf(Object(item).type)
    return type ? [{ type, id: String(Object(item).id) }] : []
  })
}
