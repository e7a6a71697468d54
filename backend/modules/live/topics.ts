import { createHash } from 'node:crypto'
import { type Belonging, reaches, type Scope } from '../../kernel/rights.ts'

/** The messages to one user. */
export const userTopic = (tenantId: string, userId: string): string => `user:${tenantId}:${userId}`

/** The messages about one record. */
export const recordTopic = (tenantId: string, type: string, id: string): string => `record:${tenantId}:${type}:${id}`

/** The messages about every record of a resource. */
export const typeTopic = (tenantId: string, type: string): string => `type:${tenantId}:${type}`

/**
 * Who follows a topic, grouped by what they may read: ten thousand followers with one scope cost one check. A group is
 * a room of Socket.IO, named by topic and scope.
 */
export interface Topics {
  /** Counts a follower in; the room he belongs into. */
  enter(topic: string, scope: Scope): string
  /** Counts a follower out of his room. */
  leave(topic: string, room: string): void
  /** The rooms of those followers of any of the topics whose scope reaches the record. */
  rooms(topics: readonly string[], belonging: Belonging): string[]
}

/** Makes the empty register of who follows what. */
export function createTopics(): Topics {
  const groups = new Map<string, Map<string, { readonly scope: Scope; count: number }>>()
  return {
    enter: (topic, scope) => {
      const room = `${topic}:${scopeKey(scope)}`
      const rooms = groups.get(topic) ?? new Map()
      const group = rooms.get(room) ?? { scope, count: 0 }
      group.count++
      rooms.set(room, group)
      groups.set(topic, rooms)
      return room
    },
    leave: (topic, room) => {
      const rooms = groups.get(topic)
      const group = rooms?.get(room)
      if (!rooms || !group) return
      group.count--
      if (group.count === 0) rooms.delete(room)
      if (rooms.size === 0) groups.delete(topic)
    },
    rooms: (topics, belonging) =>
      topics.flatMap((topic) => {
        const found: string[] = []
        for (const [room, { scope }] of groups.get(topic) ?? []) if (reaches(scope, belonging)) found.push(room)
        return found
      }),
  }
}

function scopeKey(scope: Scope): string {
  if (typeof scope === 'string') return scope
  return createHash('sha256')
    .update([scope.shares ?? '', ...[...scope.userIds].sort()].join())
    .digest('base64url')
    .slice(0, 22)
}
