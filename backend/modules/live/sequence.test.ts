import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DomainEvent } from '../../kernel/events/event.ts'
import { comparePlaces, parseEventId, printMoment, printPlace } from './place.ts'
import { type Ahead, recordKey, type Sequenced, sequence } from './sequence.ts'

const ids = (items: readonly Sequenced[]): string[] =>
  items.map(({ place, event }) => `${printPlace(place)} ${event.recordId} ${event.version}`)

/** Each record's versions 1..k, in any order, at rising positions, with events of no record among them. */
const logs = fc
  .array(fc.integer({ min: 0, max: 6 }), { maxLength: 6 })
  .chain((records) => {
    const facts = records.flatMap((versions, record) =>
      Array.from({ length: versions }, (_, index) => ({ record: `r${record}`, version: index + 1 })),
    )
    const loose = { record: null, version: null }
    return fc.tuple(
      fc.shuffledSubarray([...facts, loose, loose], { minLength: facts.length }),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: facts.length + 2, maxLength: facts.length + 2 }),
    )
  })
  .map(([facts, gaps]) => {
    // A text comparison would put 9 behind 10: start just below.
    let tx = 97
    return facts.map(({ record, version }, index) => {
      tx += (gaps[index] ?? 1) - 1
      return eventAt(String(tx), String(8 + index), record, version)
    })
  })

describe('the order in which clients get events', () => {
  test('loses nothing, repeats nothing, and keeps each record in the order of its versions', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const { sequenced, waiting } = sequence(log)
        expect(waiting).toEqual([])
        expect(new Set(sequenced.map((item) => item.event))).toEqual(new Set(log))
        expect(sequenced).toHaveLength(log.length)
        const reached = new Map<string, number>()
        for (const { event } of sequenced) {
          const key = recordKey(event)
          if (key === null) continue
          expect(event.version).toBeGreaterThanOrEqual(reached.get(key) ?? 0)
          reached.set(key, event.version ?? 0)
        }
      }),
    )
  })

  test('gives event ids that rise, never before the event, and late only for a lower version', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const { sequenced } = sequence(log)
        for (const [index, item] of sequenced.entries()) {
          const before = sequenced[index - 1]
          if (before) expect(comparePlaces(before.place, item.place)).toBeLessThan(0)
          const upTo = log.filter(
            (event) => recordKey(event) === recordKey(item.event) && (event.version ?? 0) <= (item.event.version ?? 0),
          )
          const latest = recordKey(item.event) === null ? item.event : upTo.at(-1)
          expect([item.place.tx, item.place.seq]).toEqual([BigInt(latest?.tx ?? 0), BigInt(latest?.seq ?? 0)])
        }
      }),
    )
  })

  test('is the same in one piece and in any pieces, when each knows what had been committed ahead of it', () => {
    fc.assert(
      fc.property(logs, fc.array(fc.nat({ max: 30 }), { maxLength: 5 }), (log, cuts) => {
        const bounds = [...new Set([0, ...cuts.filter((cut) => cut < log.length), log.length])].sort((a, b) => a - b)
        let waiting: DomainEvent[] = []
        const told: Sequenced[] = []
        for (const [index, from] of bounds.entries()) {
          const to = bounds[index + 1] ?? log.length
          const step = sequence(log.slice(from, to), lowest(log.slice(to)), waiting)
          told.push(...step.sequenced)
          waiting = step.waiting
        }
        expect(waiting).toEqual([])
        expect(ids(told)).toEqual(ids(sequence(log).sequenced))
      }),
    )
  })

  test('lets out a held version right after the one it waited for', () => {
    const log = [eventAt('100', '1', 'a', 3), eventAt('100', '2', 'b', 1), eventAt('101', '3', 'a', 2)]
    expect(ids(sequence(log).sequenced)).toEqual(['100.2.0 b 1', '101.3.0 a 2', '101.3.4 a 3'])
  })
})

describe('an event id', () => {
  test('comes back as it was given', () => {
    const place = { tx: 18_446_744_073_709_551_615n, seq: 9_223_372_036_854_775_807n, n: Number.MAX_SAFE_INTEGER }
    expect(parseEventId(printPlace(place))).toEqual({ place, moment: null })
    const before = Date.now()
    const moment = parseEventId(printMoment(place))
    expect(moment?.place).toEqual(place)
    expect(Number(moment?.moment)).toBeGreaterThanOrEqual(before)
    expect(Number(moment?.moment)).toBeLessThanOrEqual(Date.now())
    expect(printMoment(place)).not.toBe(printMoment(place))
  })

  test.each(['', '1', '1.2', '1.2.3.4', '-1.2.3', '1.2.x', '1.2.3 ', '1e3.2.3', 12, null, {}])('is not %j', (text) => {
    expect(parseEventId(text)).toBeNull()
  })
})

function lowest(events: readonly DomainEvent[]): Ahead {
  const found = new Map<string, number>()
  for (const event of events) {
    const key = recordKey(event)
    if (key !== null) found.set(key, Math.min(found.get(key) ?? Number.POSITIVE_INFINITY, event.version ?? 0))
  }
  return found
}

function eventAt(tx: string, seq: string, recordId: string | null, version: number | null): DomainEvent {
  return {
    id: `${tx}.${seq}`,
    tenantId: 't',
    tx,
    seq,
    lane: 'live',
    name: 'contact.updated',
    type: 'contact',
    recordId,
    version,
    occurredAt: '2026-11-21T08:00:00.000Z',
    actor: { id: null, type: 'system', name: 'System' },
    requestId: 'r',
    operationId: 'o',
    ip: null,
    userAgent: null,
    changes: [],
    shares: [],
    record: null,
    data: {},
  }
}
