import { type Ctx, systemCtx } from '../../kernel/context.ts'
import type { Database } from '../../kernel/db/database.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import { appendSigned, signature } from '../../kernel/events/append.ts'
import type { DomainEvent } from '../../kernel/events/event.ts'
import type { Subscription } from '../../kernel/events/subscription.ts'
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
      const asked = unfinished.map((event) => ({
        ...signature(ctxOf(event)),
        name: 'tag.relabelling',
        type: 'tag',
        recordId: event.recordId,
        data: { relabelling: event.data.relabelling },
      }))
      await appendSigned(tx, asked)
    },
  }
}

/** Who asked for it acts; his rights were seen to when he did. */
function ctxOf({ tenantId, actor, requestId, operationId, ip, userAgent }: DomainEvent): Ctx {
  const ctx = systemCtx(tenantId, { actor, requestId, operationId, ip, userAgent, lane: 'bulk' })
  return { ...ctx, rights: { ...ctx.rights, userId: actor.id ?? '' } }
}
