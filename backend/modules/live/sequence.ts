import type { DomainEvent } from '../../kernel/events/event.ts'
import { type Place, placeAt } from './place.ts'

/** An event and where its messages go out. */
export interface Sequenced {
  readonly place: Place
  readonly event: DomainEvent
}

/** The lowest version of a record that is known to stand further on in the log, by {@link recordKey}. */
export type Ahead = ReadonlyMap<string, number>

const nothing: Ahead = new Map()

/**
 * Puts a stretch of the log, given in the order of positions, into the order in which clients get it: the versions of a
 * record ascend. Across transactions the log does not promise that, so an event that stands before a lower version of
 * its record goes out right after the last such version, at its position.
 *
 * Nothing but the log decides, so what is told live and what is replayed have the same event ids. A stretch that goes
 * on later (live) is given what is `ahead` and what is still `waiting` from before, and gives back what waits now.
 */
export function sequence(
  stretch: readonly DomainEvent[],
  ahead: Ahead = nothing,
  waiting: readonly DomainEvent[] = [],
): { sequenced: Sequenced[]; waiting: DomainEvent[] } {
  const floors = floorsOf(stretch, ahead)
  const held = new Map<string, DomainEvent[]>()
  for (const event of waiting) hold(held, event)
  const sequenced: Sequenced[] = []
  for (const [index, event] of stretch.entries()) {
    const floor = floors[index] ?? Number.POSITIVE_INFINITY
    const released = [event, ...take(held, event)]
    const ready = released.filter((each) => (each.version ?? 0) <= floor).sort(byVersion)
    for (const [nth, each] of ready.entries()) sequenced.push({ place: placeAt(event, nth), event: each })
    for (const each of released) if ((each.version ?? 0) > floor) hold(held, each)
  }
  return { sequenced, waiting: [...held.values()].flat() }
}

/** The record whose versions must ascend; null for an event of no version. */
export const recordKey = (event: DomainEvent): string | null =>
  event.recordId !== null && event.version !== null ? `${event.tenantId} ${event.type} ${event.recordId}` : null

/** For each event the lowest version of its record that stands after it. */
function floorsOf(stretch: readonly DomainEvent[], ahead: Ahead): number[] {
  const lowest = new Map(ahead)
  const floors = new Array<number>(stretch.length)
  for (let index = stretch.length - 1; index >= 0; index--) {
    const event = stretch[index]
    const key = event ? recordKey(event) : null
    const floor = (key !== null ? lowest.get(key) : undefined) ?? Number.POSITIVE_INFINITY
    floors[index] = floor
    if (key !== null && event) lowest.set(key, Math.min(floor, event.version ?? 0))
  }
  return floors
}

function hold(held: Map<string, DomainEvent[]>, event: DomainEvent): void {
  const key = recordKey(event)
  if (key === null) return
  const others = held.get(key)
  if (others) others.push(event)
  else held.set(key, [event])
}

function take(held: Map<string, DomainEvent[]>, event: DomainEvent): DomainEvent[] {
  const key = held.size > 0 ? recordKey(event) : null
  const taken = key !== null ? held.get(key) : undefined
  if (key !== null) held.delete(key)
  return taken ?? []
}

// Stable: events of one version (a view of the record) stay in the order of the log.
const byVersion = (a: DomainEvent, b: DomainEvent): number => (a.version ?? 0) - (b.version ?? 0)
