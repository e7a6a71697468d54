import type { Database, Tx } from '../../kernel/db/database.ts'
import { fill, plan } from '../../kernel/db/plan.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { scopeSql, scopeUsers } from '../../kernel/entity/scope.ts'
import { forbidden, Problem } from '../../kernel/errors.ts'
import type { SignedIn } from '../../kernel/http/authenticator.ts'
import { isId } from '../../kernel/ids.ts'
import type { Rights, Scope } from '../../kernel/rights.ts'
import type { Client } from './client.ts'
import { recordTopic, type Sight, type Topics, typeTopic } from './topics.ts'

const mostFollows = 1_000
const mostResumed = 5_000

/** What clients follow. */
export interface Follows {
  /** Checks that the client may follow; throws FORBIDDEN. What is given back begins it, once the client has been told. */
  ask(client: Client, wanted: { type: string; id: string | null }): Promise<() => void>
  end(client: Client, wanted: { type: string; id: string | null }): void
  endAll(client: Client): void
  /** Lets what the client follows be ruled by his rights of now; what he may no longer read ends. */
  review(client: Client, rights: Rights): void
}

/** Makes the register of what clients follow. */
export function createFollows(deps: {
  db: Database
  entities: ReadonlyMap<string, Entity>
  topics: Topics
  authenticate(client: Client): Promise<SignedIn>
  /** Reads what was missed of what the client now follows. */
  catchUp(client: Client): void
}): Follows {
  const { db, entities, topics, authenticate, catchUp } = deps

  const begin = (client: Client, type: string, id: string | null, sight: Sight): void => {
    if (client.closed) return
    const topic = topicOf(client, type, id)
    if (client.follows.has(topic)) {
      move(client, topic, sight)
      return
    }
    const { resumed } = client
    const missed = resumed !== null && client.after !== null && !resumed.has(topic) && resumed.size < mostResumed
    const room = topics.enter(topic, sight)
    client.follows.set(topic, { type, id, topic, sight, room, caughtUp: !missed })
    void client.socket.join(room)
    if (!missed) return
    resumed.add(topic)
    catchUp(client)
  }

  const move = (client: Client, topic: string, sight: Sight): void => {
    const follow = client.follows.get(topic)
    if (!follow) return
    const room = topics.enter(topic, sight)
    topics.leave(topic, follow.room)
    if (room !== follow.room) {
      void client.socket.leave(follow.room)
      void client.socket.join(room)
    }
    follow.sight = sight
    follow.room = room
  }

  const drop = (client: Client, topic: string): void => {
    const follow = client.follows.get(topic)
    if (!follow) return
    client.follows.delete(topic)
    topics.leave(topic, follow.room)
    void client.socket.leave(follow.room)
  }

  return {
    ask: async (client, { type, id }) => {
      const topic = topicOf(client, type, id)
      if (client.follows.size >= mostFollows && !client.follows.has(topic)) {
        throw new Problem(429, 'RATE_LIMITED', `A connection can follow ${mostFollows} records or resources`)
      }
      const entity = entities.get(type)
      if (!entity || (id !== null && !isId(id))) throw unreadable()
      for (;;) {
        const { suspicion } = client
        const { ctx } = await authenticate(client)
        const sight = sightOf(ctx.rights, type)
        const { scope } = sight
        if (scope === 'none' || (id !== null && !(await isThere(db.tenant(ctx), entity, id, scope)))) throw unreadable()
        if (suspicion === client.suspicion) return () => begin(client, type, id?.toLowerCase() ?? null, sight)
      }
    },
    end: (client, { type, id }) => drop(client, topicOf(client, type, id)),
    endAll: (client) => {
      for (const topic of [...client.follows.keys()]) drop(client, topic)
    },
    review: (client, rights) => {
      for (const { topic, type } of [...client.follows.values()]) {
        const sight = sightOf(rights, type)
        if (sight.scope === 'none') drop(client, topic)
        else move(client, topic, sight)
      }
    },
  }
}

const sightOf = (rights: Rights, type: string): Sight => ({
  scope: rights.scope(type, 'read'),
  fields: rights.fields?.(type),
})

const topicOf = ({ tenantId }: Client, type: string, id: string | null): string =>
  id === null ? typeTopic(tenantId, type) : recordTopic(tenantId, type, id.toLowerCase())

// One sentence for what is not there, not his and not allowed: existence is never told.
const unreadable = (): Problem => forbidden('There is nothing of this type and id that you may read')

async function isThere(tx: Tx, entity: Entity, id: string, scope: Scope): Promise<boolean> {
  const made = plan(
    (bind) => `
    select 1 from ${entity.table} r
    where r.tenant_id = ${bind('tenant', 'uuid')} and r.id = ${bind('id', 'uuid')} and r.deleted_at is null
      and ${scopeSql(entity, scope, 'r', bind, 'holders')}`,
  )
  const rows = await tx.query(fill(made, { tenant: tx.ctx.tenantId, id, holders: scopeUsers(scope) }))
  return rows.length > 0
}
