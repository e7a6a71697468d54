import type { Tx } from '../../kernel/db/database.ts'
import { hiddenOfName, titlesFor } from '../../kernel/entity/called.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import type { Notification } from './notification.ts'
import { rules } from './rules.ts'

/**
 * Entries as the caller sees them. What a record was called stands in the sentence of an entry since it was written; from
 * whom a part of that is hidden by now, he reads there what it is called for him.
 */
export async function asSeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  entries: readonly Notification[],
): Promise<Notification[]> {
  const { rights } = tx.ctx
  const groups = Map.groupBy(entries.filter(isNamed), ({ entityType }) => entityType ?? '')
  const titles = new Map<string, (id: string) => string>()
  for (const [type, group] of groups) {
    const entity = entities.get(type)
    if (!entity || hiddenOfName(entity, rights.fields?.(type)).length === 0) continue
    const ids = group.flatMap(({ entityId }) => entityId ?? [])
    titles.set(type, await titlesFor(tx, entity, ids))
  }
  return entries.map((entry) => {
    const { entityType, entityId, message } = entry
    const titleOf = isNamed(entry) ? titles.get(entityType ?? '') : undefined
    if (!titleOf || entityId === null) return entry
    return { ...entry, message: message.replace(/“.*”/su, () => `“${titleOf(entityId)}”`) }
  })
}

/** The same of one entry. */
export async function oneAsSeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  entry: Notification,
): Promise<Notification> {
  const [seen] = await asSeen(tx, entities, [entry])
  return seen ?? entry
}

/** Whether its sentence is one of ours, which puts the name of its record between quotation marks. */
const isNamed = ({ type, entityId }: Notification): boolean =>
  entityId !== null && rules.some((rule) => rule.type === type && rule.message.includes('{name}'))
