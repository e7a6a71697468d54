import type { Tx } from '../../kernel/db/database.ts'
import { onlyRenaming } from '../../kernel/entity/renaming.ts'
import type { Repository } from '../../kernel/entity/repository.ts'
import type { MassShape } from '../../kernel/entity/write-plan.ts'
import { forbidden, rule } from '../../kernel/errors.ts'
import { findHolding, type Holder } from './lookup.queries.ts'

const batch = 500

/** So many records follow in one transaction; more would hold up everybody else for too long. */
const mostReplaced = 10_000

/** Lets all records that hold a value hold another one. They are bulk work, and everybody's: who does this may change them all. */
export async function replaceValue(
  tx: Tx,
  repository: (type: string) => Repository,
  holders: readonly Holder[],
  from: string,
  to: string,
): Promise<void> {
  const bulk: Tx = { ...tx, ctx: { ...tx.ctx, lane: 'bulk' } }
  await onlyRenaming(tx)
  let replaced = 0
  for (const holder of holders) {
    for (;;) {
      const ids = await findHolding(tx, holder, from, batch)
      if (ids.length === 0) break
      const { entity } = holder
      if (tx.ctx.rights.scope(entity.type, 'update') !== 'all')
        throw forbidden(`Your role may not change all ${entity.path} that hold this value`)
      replaced += ids.length
      if (replaced > mostReplaced)
        throw rule(
          'TOO_MANY_RECORDS',
          `More than ${mostReplaced} records hold this value: set active to false, and change them by POST /${entity.path}/bulk first`,
        )
      await repository(entity.type).changeMany(bulk, ids, otherwise(holder), { from, to })
    }
  }
}

const otherwise = ({ member, column }: Holder): MassShape => ({
  name: `replace ${member}`,
  sides: [],
  set: (bind) => ({
    [column]: `case when o.${column} = ${bind('from', 'text')} then ${bind('to', 'text')} else o.${column} end`,
  }),
})
