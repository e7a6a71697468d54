import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DomainEvent } from './event.ts'
import { findBad } from './isolate.ts'
import { PermanentError } from './subscription.ts'

type Nature = 'good' | 'bad' | 'hopeless'
type Probe = (events: readonly DomainEvent[]) => Promise<void>

const natures = (...kinds: Nature[]) => fc.array(fc.constantFrom(...kinds), { minLength: 2, maxLength: 60 })
/** The attempt at which the search is not shortened by samples. */
const thorough = 10

test('finds exactly the bad events of a batch of which parts pass', () =>
  fc.assert(
    fc.asyncProperty(natures('good', 'good', 'bad', 'hopeless'), async (batch) => {
      fc.pre(batch.includes('good') && batch.some((nature) => nature !== 'good'))
      const { events, probe } = consumerOf(batch)
      expect(await found(events, probe, thorough)).toEqual(indexes(batch, 'bad', 'hopeless'))
    }),
  ))

test('never takes a good event for a bad one, also when three samples are to tell an outage', () =>
  fc.assert(
    fc.asyncProperty(natures('good', 'bad'), fc.integer({ min: 0, max: 9 }), async (batch, earlier) => {
      fc.pre(batch.includes('bad'))
      const { events, probe } = consumerOf(batch)
      const bad = await found(events, probe, earlier)
      if (bad.length > 0) expect(bad).toEqual(indexes(batch, 'bad'))
      const sampled = [0, batch.length >> 1, batch.length - 1].some((place) => batch[place] === 'good')
      if (earlier > 0 && sampled) expect(bad).toEqual(indexes(batch, 'bad'))
    }),
  ))

test('takes a batch of which everything fails for an outage, and parks only what is hopeless', () =>
  fc.assert(
    fc.asyncProperty(natures('bad', 'hopeless'), async (batch) => {
      const { events, probe } = consumerOf(batch)
      expect(await found(events, probe, thorough)).toEqual(indexes(batch, 'hopeless'))
    }),
  ))

test('takes no good event for a bad one when the outage begins or ends during the search', () =>
  fc.assert(
    fc.asyncProperty(natures('good', 'good', 'bad'), fc.nat(120), fc.boolean(), async (batch, turn, downFirst) => {
      const consumer = consumerOf(batch)
      let probes = 0
      const flapping: Probe = async (events) => {
        if (probes++ < turn === downFirst) throw new Error('the peer is down')
        await consumer.probe(events)
      }
      const bad = await found(consumer.events, flapping, thorough)
      expect(indexes(batch, 'bad')).toEqual(expect.arrayContaining(bad))
    }),
    { numRuns: 500 },
  ))

test('finds nothing in nothing, whatever fails', async () => {
  const down: Probe = async () => {
    throw new Error('the disk is full')
  }
  expect(await found([], down, thorough)).toEqual([])
})

async function found(events: readonly DomainEvent[], probe: Probe, earlier: number): Promise<number[]> {
  const failure = await probe(events).then(
    () => new Error('failed and passes now'),
    (error) => error,
  )
  return (await findBad(events, failure, probe, earlier)).map((bad) => events.indexOf(bad.event))
}

/** A consumer that fails at the first event of a batch that is not good. */
function consumerOf(batch: readonly Nature[]): { events: DomainEvent[]; probe: Probe } {
  const events = batch.map((nature, index) => eventOf(String(index), nature))
  const probe: Probe = async (part) => {
    for (const { data } of part) {
      if (data.nature === 'hopeless') throw new PermanentError('hopeless')
      if (data.nature === 'bad') throw new Error('bad')
    }
  }
  return { events, probe }
}

const indexes = (batch: readonly Nature[], ...wanted: Nature[]): number[] =>
  batch.flatMap((nature, index) => (wanted.includes(nature) ? [index] : []))

function eventOf(seq: string, nature: Nature): DomainEvent {
  return {
    id: seq,
    tenantId: '',
    tx: '1',
    seq,
    lane: 'live',
    name: 'probe.made',
    type: 'probe',
    recordId: null,
    version: null,
    occurredAt: '',
    actor: { id: null, type: 'system', name: 'Test' },
    requestId: '',
    operationId: '',
    ip: null,
    userAgent: null,
    changes: [],
    shares: [],
    record: null,
    data: { nature },
  }
}
