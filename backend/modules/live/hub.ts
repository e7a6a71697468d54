import { LRUCache } from 'lru-cache'
import type { DomainEvent, Position } from '../../kernel/events/event.ts'
import type { Logger } from '../../kernel/log.ts'
import { comparePlaces, endOf, type Place } from './place.ts'
import { type Ahead, recordKey, type Sequenced, sequence } from './sequence.ts'

/** Brings what the tail hands over into the order of versions, and passes it on. One for each process. */
export interface Hub {
  /** Everything up to here has been passed on. */
  readonly place: Place
  /** Ids of events before `place` that wait for a lower version of their record. */
  readonly waiting: ReadonlySet<string>
  /** Begins at a position: what stands before it is left to replay, but for the events that wait beyond it. */
  start(from: Position, held: readonly DomainEvent[]): void
  accept(events: readonly DomainEvent[]): void
  /** Whether the hub comes to a place within the milliseconds. Another process may be a little further than this one. */
  reaches(place: Place, milliseconds: number): Promise<boolean>
}

const none: ReadonlySet<string> = new Set()

/**
 * Makes the hub. It follows every tenant, listened to or not: what waits when a client comes back is in neither what was
 * before nor, if nobody had remembered it, in what comes.
 */
export function createHub(deps: {
  log: Logger
  readAhead(events: readonly DomainEvent[], beyond: Position): Promise<Ahead>
  deliver(items: readonly Sequenced[]): void
}): Hub {
  const { log, readAhead, deliver } = deps
  // Of each record the version up to which everything has come: the next one needs no look at the log.
  const complete = new LRUCache<string, number>({ max: 20_000 })
  const hopers = new Set<{ place: Place; tell(): void }>()
  let queue: Promise<void> = Promise.resolve()
  let place: Place = endOf({ tx: '0', seq: '0' })
  let held: readonly DomainEvent[] = []
  let waiting = none

  const digest = async (events: readonly DomainEvent[]): Promise<void> => {
    const last = events.at(-1)
    if (!last || comparePlaces(endOf(last), place) <= 0) return
    const fresh = events.filter((event) => comparePlaces(endOf(event), place) > 0)
    const doubtful = [...held, ...doubtfulOf(fresh, complete)]
    const ahead = doubtful.length > 0 ? await look(doubtful, last) : undefined
    const step = sequence(fresh, ahead, held)
    keep(step.waiting)
    for (const { event } of step.sequenced) note(complete, event)
    deliver(step.sequenced)
    place = endOf(last)
    for (const hoper of hopers) if (comparePlaces(hoper.place, place) <= 0) hoper.tell()
  }

  const keep = (events: readonly DomainEvent[]): void => {
    held = events
    waiting = events.length > 0 ? new Set(events.map((event) => event.id)) : none
  }

  const look = (events: readonly DomainEvent[], beyond: Position): Promise<Ahead | undefined> =>
    readAhead(events, beyond).catch((error: unknown) => {
      log.warn({ err: error }, 'events go to the sockets without a look ahead: versions may be out of order')
      return undefined
    })

  return {
    get place() {
      return place
    },
    get waiting() {
      return waiting
    },
    start: (from, held) => {
      place = endOf(from)
      keep(held)
    },
    accept: (events) => {
      queue = queue
        .then(() => digest(events))
        .catch((error: unknown) => log.error({ err: error }, 'events did not reach the sockets'))
    },
    reaches: (wanted, milliseconds) => {
      if (comparePlaces(wanted, place) <= 0) return Promise.resolve(true)
      return new Promise((resolve) => {
        const end = (reached: boolean) => {
          clearTimeout(timer)
          hopers.delete(hoper)
          resolve(reached)
        }
        const hoper = { place: wanted, tell: () => end(true) }
        const timer = setTimeout(() => end(false), milliseconds).unref()
        hopers.add(hoper)
      })
    },
  }
}

/** Events whose earlier versions have not all been seen to come. */
function doubtfulOf(events: readonly DomainEvent[], complete: LRUCache<string, number>): DomainEvent[] {
  const coming = new Map<string, number>()
  return events.filter((event) => {
    const key = recordKey(event)
    if (key === null || event.version === null) return false
    const known = coming.get(key) ?? complete.get(key) ?? 0
    if (event.version > known + 1) return true
    coming.set(key, Math.max(known, event.version))
    return false
  })
}

function note(complete: LRUCache<string, number>, event: DomainEvent): void {
  const key = recordKey(event)
  if (key !== null && event.version !== null) complete.set(key, Math.max(event.version, complete.get(key) ?? 0))
}
