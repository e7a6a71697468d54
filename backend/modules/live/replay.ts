import type { WorkerTx } from '../../kernel/db/database.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import { readAt } from '../../kernel/events/log.ts'
import type { Tail } from '../../kernel/events/tail.port.ts'
import type { Item, Message } from './messages.ts'
import { comparePlaces, type EventId, type Place } from './place.ts'
import { sequence } from './sequence.ts'

/** What a client missed: everything of its tenant from before its last message on; or that we cannot tell. */
export type Missed = { readonly items: readonly Item[]; readonly complete: boolean }

/** Reads from the log what clients have missed, so that it does not matter which process they come back to. */
export interface Replay {
  /** What a tenant's client that has everything up to `after` may have missed, complete up to `upTo`. */
  read(tenantId: string, after: EventId, upTo: Place): Promise<Missed>
}

const minute = 60_000
const window = 10 * minute
/** A transaction ends within this time: an event can stand behind another and yet have begun so much earlier. */
const longestTransaction = 30_000
const mostEvents = 50_000
const keepFor = 2_000

/** Makes the replay. Clients that come back together, as after a restart, share one read of their tenant's log. */
export function createReplay(deps: {
  db: WorkerTx
  tail: Tail
  hub: { readonly place: Place }
  messagesOf(event: DomainEvent): readonly Message[]
}): Replay {
  const { db, tail, hub, messagesOf } = deps
  const reads = new Map<string, { from: Date; through: Place; items: Promise<readonly Item[] | null> }>()

  const load = async (tenantId: string, from: Date): Promise<readonly Item[] | null> => {
    const events = await tail.since(tenantId, from, mostEvents + 1)
    if (events.length > mostEvents) return null
    return sequence(events).sequenced.map((item) => ({ ...item, messages: messagesOf(item.event) }))
  }

  const share = (tenantId: string, from: Date, upTo: Place): Promise<readonly Item[] | null> => {
    const known = reads.get(tenantId)
    // What the hub had passed on when the read began is surely in it.
    if (known && known.from <= from && comparePlaces(known.through, upTo) >= 0) return known.items
    const early = new Date(Math.floor(from.getTime() / minute) * minute)
    const read = { from: early, through: hub.place, items: load(tenantId, early) }
    reads.set(tenantId, read)
    const forget = () => {
      if (reads.get(tenantId) === read) reads.delete(tenantId)
    }
    read.items.then(
      () => setTimeout(forget, keepFor).unref(),
      () => forget(),
    )
    return read.items
  }

  return {
    read: async (tenantId, after, upTo) => {
      const oldest = new Date(Date.now() - window)
      const heard = after.moment ?? (await momentOf(db, tenantId, after.place))
      const recent = heard !== null && heard > oldest
      const from = new Date((recent ? heard : oldest).getTime() - longestTransaction)
      const items = await share(tenantId, from, upTo)
      return { items: items ?? [], complete: recent && items !== null }
    },
  }
}

/** When the event of a message happened; null when it is not in the log of the tenant. */
async function momentOf(db: WorkerTx, tenantId: string, place: Place): Promise<Date | null> {
  const event = await readAt(db, tenantId, { tx: String(place.tx), seq: String(place.seq) })
  return event ? new Date(event.occurredAt) : null
}
