import { reaches } from '../../kernel/rights.ts'
import type { Client } from './client.ts'
import type { Item, Message } from './messages.ts'
import { comparePlaces, type Place } from './place.ts'

/** What a held client is told when it is let go: first what it missed, then what queued up; each message once. */
export function outgoing(client: Client): { item: Item; message: Message }[] {
  const found: { item: Item; message: Message }[] = []
  for (const item of client.missed ?? []) {
    if (client.heldWaiting.has(item.event.id)) continue
    for (const message of item.messages) {
      const place = placeOf(item, message)
      if (!isAfter(place, client.after?.place) || comparePlaces(place, client.heldFrom) > 0) continue
      if (wasMissed(client, message)) found.push({ item, message })
    }
  }
  for (const item of client.backlog ?? []) {
    for (const message of item.messages) {
      if (isAfter(placeOf(item, message), client.after?.place) && ways(client, message).length > 0)
        found.push({ item, message })
    }
  }
  return found
}

const placeOf = (item: Item, message: Message): Place => ({ ...item.place, n: item.place.n + message.slot })

const isAfter = (place: Place, after: Place | undefined): boolean =>
  after === undefined || comparePlaces(place, after) > 0

/** Whether a message comes to the client only by ways that have not caught up: by any other it has come already. */
function wasMissed(client: Client, message: Message): boolean {
  const found = ways(client, message)
  return found.length > 0 && found.every((way) => !way.caughtUp)
}

/** The ways by which a message comes to a client: as his own, or by what it follows and may read. */
function ways(client: Client, message: Message): { readonly caughtUp: boolean }[] {
  const { audience } = message
  if (audience.kind === 'user') return audience.topic === client.userTopic ? [client] : []
  return audience.topics.flatMap((topic) => {
    const follow = client.follows.get(topic)
    return follow && reaches(follow.sight.scope, audience.belonging) ? [follow] : []
  })
}
