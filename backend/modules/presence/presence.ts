import { systemCtx } from '../../kernel/context.ts'
import type { Database, WorkerTx } from '../../kernel/db/database.ts'
import { appendSigned, signature } from '../../kernel/events/append.ts'
import { newId } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/log.ts'
import { atOnce, beat, note, type Person, sweep } from './presence.queries.ts'

/** Told by the sockets who connects and disconnects here; tells the log who is online in any process. */
export interface Presence {
  came(person: Person): void
  left(person: Person): void
  start(): Promise<void>
  stop(): Promise<void>
}

const heartbeat = 2_000

/** A page that is loaded anew is no absence. */
const patience = 1_500

interface Here extends Person {
  sockets: number
  /** What the database holds of it. */
  noted: boolean
  timer: NodeJS.Timeout | undefined
}

/** Makes the presence of this process. */
export function createPresence(deps: { db: Database; log: Logger; woken(): void }): Presence {
  const { db, log, woken } = deps
  const processId = newId()
  const people = new Map<string, Here>()
  const changed = new Set<string>()
  let working: Promise<void> | null = null
  let ticking: NodeJS.Timeout | undefined
  let stopped = false
  let healthy = true

  const mark = (key: string): void => {
    changed.add(key)
    working ??= settle().finally(() => {
      working = null
    })
  }

  /** Brings the database to what is here; what cannot be noted now is, with the next beat. */
  const settle = async (): Promise<void> => {
    while (changed.size > 0 && !stopped) {
      const keys = [...changed].slice(0, atOnce)
      for (const key of keys) changed.delete(key)
      const found = keys.flatMap((key) => people.get(key) ?? [])
      // Who came and left before he was noted was never there.
      for (const person of found) if (person.sockets === 0 && !person.noted) people.delete(keyOf(person))
      const comes = found.filter(({ sockets, noted }) => sockets > 0 && !noted)
      const goes = found.filter(({ sockets, noted }) => sockets === 0 && noted)
      try {
        if (comes.length > 0) await tell(true, (tx) => note(tx, processId, comes.map(personOf), true))
        for (const person of comes) person.noted = true
        if (goes.length > 0) await tell(false, (tx) => note(tx, processId, goes.map(personOf), false))
        for (const person of goes) person.noted = false
        // Who came or went while it was noted is looked at again.
        for (const person of [...comes, ...goes]) if (person.sockets > 0 !== person.noted) changed.add(keyOf(person))
        for (const person of goes) if (person.sockets === 0 && !person.noted) people.delete(keyOf(person))
        healthy = true
      } catch (error) {
        if (healthy) log.warn({ err: error }, 'who is online could not be noted; it is tried again')
        healthy = false
        return
      }
    }
  }

  const tell = async (online: boolean, work: (tx: WorkerTx) => Promise<readonly Person[]>): Promise<void> => {
    const told = await db.workerTransaction(async (tx) => {
      const found = await work(tx)
      await appendSigned(
        tx,
        found.map((person) => eventOf(person, online)),
      )
      return found.length
    })
    if (told > 0) woken()
  }

  const tick = async (): Promise<void> => {
    try {
      const unknown = await beat(db.worker, processId)
      // Taken for gone, its people were taken out with it.
      for (const [key, person] of people) {
        if (unknown) person.noted = false
        if (person.sockets > 0 !== person.noted) mark(key)
      }
      for (let more = true; more && !stopped; ) {
        await tell(false, async (tx) => {
          const swept = await sweep(tx)
          more = swept.more
          return swept.offline
        })
      }
    } catch (error) {
      log.debug({ err: error }, 'a beat of this process was lost')
    }
    if (!stopped) ticking = setTimeout(() => void tick(), heartbeat).unref()
  }

  return {
    came: (person) => {
      const key = keyOf(person)
      const here = people.get(key) ?? { ...person, sockets: 0, noted: false, timer: undefined }
      people.set(key, here)
      clearTimeout(here.timer)
      here.sockets++
      if (!here.noted) mark(key)
    },
    left: (person) => {
      const key = keyOf(person)
      const here = people.get(key)
      if (!here) return
      here.sockets--
      if (here.sockets === 0) here.timer = setTimeout(() => here.sockets === 0 && mark(key), patience).unref()
    },
    start: tick,
    // Its people stand until it has been silent for a while: most come back at another process before that.
    stop: async () => {
      stopped = true
      clearTimeout(ticking)
      for (const { timer } of people.values()) clearTimeout(timer)
      await working
    },
  }
}

const keyOf = ({ tenantId, userId }: Person): string => `${tenantId} ${userId}`
const personOf = ({ tenantId, userId }: Person): Person => ({ tenantId, userId })

function eventOf({ tenantId, userId }: Person, online: boolean) {
  return {
    ...signature(systemCtx(tenantId)),
    name: 'presence.changed',
    type: 'presence',
    recordId: userId,
    data: { userId, online },
  }
}
