import sql from 'sql-template-tag'
import type { Ctx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
import { newId } from '../../kernel/ids.ts'
import { relabel, relabellingSchema } from './relabel.ts'

/** Records a turn: a few seconds, after which other work and a stop have theirs. */
const mostATurn = 5_000
const commitEvery = 500

/** Goes on where a request left off: the records of a tag that too many carry follow in turns, each asking for the next. */
export function relabellingSubscription(db: Database, tagged: readonly Repository[]): Subscription<DomainEvent[]> {
  return {
    name: 'tags',
    patterns: ['tag.*'],
    appends: true,
    prepare: async (batch) => {
      const unfinished: DomainEvent[] = []
      for (const event of batch) {
        const wanted = relabellingSchema.safeParse(event.data.relabelling)
        if (!wanted.success) continue
        const ctx = ctxOf(event)
        let left = true
        for (let done = 0; left && done < mostATurn; done += commitEvery)
          left = (await db.transaction(ctx, (tx) => relabel(tx, tagged, wanted.data, commitEvery))).left
        if (left) unfinished.push(event)
      }
      return unfinished
    },
    apply: async (tx, unfinished) => {
      for (const event of unfinished)
        await tx.query(sql`
          insert into events (tenant_id, id, lane, name, type, record_id, actor, request_id, operation_id, ip, user_agent, data)
          values (${event.tenantId}, ${newId()}, 1, 'tag.relabelling', 'tag', ${event.recordId}, ${JSON.stringify(event.actor)},
                  ${event.requestId}, ${event.operationId}, ${event.ip}, ${event.userAgent},
                  ${JSON.stringify({ relabelling: event.data.relabelling })})`)
    },
  }
}

/** Who asked for it acts; his rights were seen to when he did. */
function ctxOf({ tenantId, actor, requestId, operationId, ip, userAgent }: DomainEvent): Ctx {
  return {
    tenantId,
    actor,
    rights: { userId: actor.id ?? '', role: 'system', scope: () => 'all' },
    sessionId: null,
    requestId,
    operationId,
    ip,
    userAgent,
    lane: 'bulk',
  }
}
