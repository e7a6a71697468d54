import type { Position } from '../../kernel/events/event.ts'

/** Where a message stands: the position in the log at which it goes out, and its number there. */
export interface Place {
  readonly tx: bigint
  readonly seq: bigint
  readonly n: number
}

/** Numbers that an event has for its messages at one position. Part of the meaning of event ids: never less. */
export const messagesAnEvent = 4

/** The place of the messages of the event that goes out `nth` at a position. */
export const placeAt = (position: Position, nth: number): Place => ({
  tx: BigInt(position.tx),
  seq: BigInt(position.seq),
  n: nth * messagesAnEvent,
})

/** The place after everything that goes out at a position. */
export const endOf = (position: Position): Place => ({
  tx: BigInt(position.tx),
  seq: BigInt(position.seq),
  n: Number.MAX_SAFE_INTEGER,
})

/** Order of places: by number, never as text. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.tx !== b.tx) return a.tx < b.tx ? -1 : 1
  if (a.seq !== b.seq) return a.seq < b.seq ? -1 : 1
  return a.n - b.n
}

/** The event id of a message: `tx.seq.n`. */
export const printPlace = (place: Place): string => `${place.tx}.${place.seq}.${place.n}`

/**
 * The event id of a message that is of no event (`auth:expiring`): the place up to which its socket has everything, and
 * a fourth number that makes it unique and tells the time.
 */
export const printMoment = (place: Place): string => `${printPlace(place)}.${Date.now()}${nextOfThousand()}`

/** What an event id says. `moment` only when it is of a message without an event. */
export interface EventId {
  readonly place: Place
  readonly moment: Date | null
}

const shape = /^(\d{1,20})\.(\d{1,19})\.(\d{1,16})(?:\.(\d{13})\d{3})?$/

/** Reads an event id as a client sends it back; null when it is none of ours. */
export function parseEventId(text: unknown): EventId | null {
  const found = typeof text === 'string' ? shape.exec(text) : null
  if (!found) return null
  const [, tx = '0', seq = '0', n = '0', milliseconds] = found
  return {
    place: { tx: BigInt(tx), seq: BigInt(seq), n: Number(n) },
    moment: milliseconds ? new Date(Number(milliseconds)) : null,
  }
}

let counter = Math.floor(Math.random() * 1000)

function nextOfThousand(): string {
  counter = (counter + 1) % 1000
  return String(counter).padStart(3, '0')
}
