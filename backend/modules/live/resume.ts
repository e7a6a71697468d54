import { sleep } from '../../kernel/clock.ts'
import type { Client } from './client.ts'
import type { Control } from './control.ts'
import type { Hub } from './hub.ts'
import type { Replay } from './replay.ts'

/** Gives clients that come back what they missed. */
export interface Resume {
  /** Begins with the connection; `unknown`: the client sent an event id that is none of ours. */
  connection(client: Client): void
  /** What was missed of a topic that is followed later than the others. */
  catchUp(client: Client): void
  /** Tells a client that something may be missing: it should read anew what it shows. */
  gap(client: Client): void
}

/** Subscriptions that follow each other so closely are replayed in one piece with the notifications, in order. */
const quiet = 100
const longestQuiet = 1_000
/** Another process may have been that far ahead of this one when it gave the client its last message. */
const longestLag = 2_000

/** Makes the resumption of connections. */
export function createResume(deps: {
  hub: Hub
  replay: Replay
  control: Control
  hold(client: Client, work: () => Promise<void>): void
}): Resume {
  const { hub, replay, control, hold } = deps

  const gap = (client: Client): void => control.tell(client, 'replay:gap', {})

  const load = async (client: Client): Promise<void> => {
    if (!client.after) return
    const { items, complete } = await replay.read(client.tenantId, client.after, client.heldFrom)
    client.missed = items
    if (!complete && !client.caughtUp) gap(client)
  }

  return {
    connection: (client) => {
      const { after } = client
      if (!after) return
      hold(client, async () => {
        await subscribing(client)
        if (await hub.reaches(after.place, longestLag)) return load(client)
        // Of another installation, or invented.
        client.after = null
        gap(client)
      })
    },
    catchUp: (client) => {
      // Until it has caught up, the work that began with the connection reads for all that it follows.
      if (client.caughtUp) hold(client, () => load(client))
    },
    gap,
  }
}

/** Waits until the client seems to have said what it follows. */
async function subscribing(client: Client): Promise<void> {
  const latest = Date.now() + longestQuiet
  for (;;) {
    const now = Date.now()
    const left = client.asking > 0 ? quiet / 2 : quiet - (now - client.askedAt)
    if (client.closed || left <= 0 || now >= latest) return
    await sleep(Math.max(left, 5))
  }
}
