import { createHash } from 'node:crypto'
import { type Belonging, type FieldRules, granteesOf, reaches, type Scope } from '../../kernel/rights.ts'

/** The messages to one user. */
export const userTopic = (tenantId: string, userId: string): string => `user:${tenantId}:${userId}`

/** The messages about one record. */
export const recordTopic = (tenantId: string, type: string, id: string): string => `record:${tenantId}:${type}:${id}`

/** The messages about every record of a resource. */
export const typeTopic = (tenantId: string, type: string): string => `type:${tenantId}:${type}`

/**
 * Who follows a topic, grouped by what they see: ten thousand followers who see the same cost one check. A group is a
 * room of Socket.IO, named by topic and sight.
 */
export interface Topics {
  /** Counts a follower in; the room he belongs into. */
  enter(topic: string, sight: Sight): string
  /** Counts a follower out of his room. */
  leave(topic: string, room: string): void
  /** The rooms of those followers of any of the topics whose scope reaches the record, by what they see of it. */
  rooms(topics: readonly string[], belonging: Belonging): { room: string; fields: FieldRules | undefined }[]
}

/** What somebody sees of the records of a type. */
export interface Sight {
  readonly scope: Scope
  readonly fields: FieldRules | undefined
}

/** Makes the empty register of who follows what. */
export function createTopics(): Topics {
  const groups = new Map<string, Map<string, { readonly sight: Sight; count: number }>>()
  return {
    enter: (topic, sight) => {
      const room = `${topic}:${sightKey(sight)}`
      const rooms = groups.get(topic) ?? new Map()
      const group = rooms.get(room) ?? { sight, count: 0 }
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
        const found: { room: string; fields: FieldRules | undefined }[] = []
        for (const [room, { sight }] of groups.get(topic) ?? [])
          if (reaches(sight.scope, belonging)) found.push({ room, fields: sight.fields })
        return found
      }),
  }
}

function sightKey({ scope, fields }: Sight): string {
  const hidden = [...(fields?.hidden ?? [])].sort()
  if (typeof scope === 'string' && hidden.length === 0) return scope
  const reach = typeof scope === 'string' ? [scope] : [scope.shares ?? '', ...granteesOf(scope).toSorted()]
  return createHash('sha256')
    .update(JSON.stringify([reach, hidden]))
    .digest('base64url')
    .slice(0, 22)
}
