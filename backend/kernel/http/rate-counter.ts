import type { Counted } from './rate-store.port.ts'

/** Counts calls by the minute in memory, and what other processes are known to have counted. */
export interface RateCounter {
  /** Counts a call; gives how many there were in this minute. */
  count(key: string): number
  /** Seconds until the minute ends. */
  readonly left: number
  /** The minute, and what was counted since the last time that this was asked. */
  take(): { readonly minute: number; readonly counts: readonly Counted[] }
  /** What all processes have counted, this one included. */
  know(minute: number, totals: readonly Counted[]): void
  /** What was taken could not be told: it is to be taken again. */
  giveBack(minute: number, counts: readonly Counted[]): void
}

interface Tally {
  own: number
  /** What of it was taken. */
  told: number
  others: number
}

/** An attacker with many addresses must not fill the memory; whoever came first is forgotten first. */
const most = 200_000

const milliseconds = 60_000

/** Makes the counter. A minute of the clock is one window: what it counted is dropped as a whole when the next begins. */
export function createRateCounter(now: () => number = () => Date.now()): RateCounter {
  let minute = -1
  let tallies = new Map<string, Tally>()
  let changed = new Map<string, Tally>()
  const roll = (): void => {
    const current = Math.floor(now() / milliseconds)
    if (current === minute) return
    minute = current
    tallies = new Map()
    changed = new Map()
  }
  return {
    count: (key) => {
      roll()
      let tally = tallies.get(key)
      if (!tally) {
        tally = { own: 0, told: 0, others: 0 }
        tallies.set(key, tally)
        if (tallies.size > most) forgetFirst(tallies)
      }
      if (tally.own === tally.told) changed.set(key, tally)
      tally.own++
      return tally.own + tally.others
    },
    get left() {
      return Math.ceil((milliseconds - (now() % milliseconds)) / 1000)
    },
    take: () => {
      roll()
      const counts = [...changed].map(([key, tally]) => ({ key, count: tally.own - tally.told }))
      for (const tally of changed.values()) tally.told = tally.own
      changed = new Map()
      return { minute, counts }
    },
    know: (of, totals) => {
      if (of !== minute) return
      for (const { key, count } of totals) {
        const tally = tallies.get(key)
        if (tally) tally.others = Math.max(0, count - tally.told)
      }
    },
    giveBack: (of, counts) => {
      if (of !== minute) return
      for (const { key, count } of counts) {
        const tally = tallies.get(key)
        if (!tally) continue
        tally.told -= count
        changed.set(key, tally)
      }
    },
  }
}

function forgetFirst(tallies: Map<string, Tally>): void {
  for (const key of tallies.keys()) {
    tallies.delete(key)
    return
  }
}
