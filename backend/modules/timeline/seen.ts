import type { Tx } from '../../kernel/db/database.ts'
import { hiddenOfName, titlesFor } from '../../kernel/entity/called.ts'
import type { Entity } from '../../kernel/entity/define.ts'
import { type Activity, seenActivity } from './activity.ts'
import type { Place, PrintedActivity } from './timeline.queries.ts'
import { matches } from './words.ts'

/** An activity, and whether its texts are other than the kept ones for who reads it. */
interface Seen {
  readonly row: PrintedActivity
  readonly activity: Activity | null
}

/**
 * Activities as the caller sees them. What a record was called is kept as it was for everybody; from whom a part of that is
 * hidden, he reads under what the record is called for him now.
 */
export async function asSeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  rows: readonly PrintedActivity[],
): Promise<PrintedActivity[]> {
  return (await seenOf(tx, entities, rows)).map(({ row }) => row)
}

const mostRounds = 20
const longRound = 500

/** Reads what is found by words as the caller sees it: that something is found by a word that is hidden from him would tell it. */
export async function foundAsSeen(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  question: string,
  size: number,
  after: Place | null,
  read: (after: Place | null, size: number) => Promise<readonly PrintedActivity[]>,
): Promise<PrintedActivity[]> {
  const found: PrintedActivity[] = []
  let place = after
  for (let round = 0; round < mostRounds && found.length < size; round++) {
    const asked = round === 0 ? size : longRound
    const rows = await read(place, asked)
    const seen = await seenOf(tx, entities, rows)
    for (const { row, activity } of seen)
      if (!activity || matches(question, `${activity.entityName} ${activity.description}`)) found.push(row)
    place = rows.at(-1) ?? place
    if (rows.length < asked) break
  }
  return found.slice(0, size)
}

async function seenOf(
  tx: Tx,
  entities: ReadonlyMap<string, Entity>,
  rows: readonly PrintedActivity[],
): Promise<Seen[]> {
  const { rights } = tx.ctx
  const veiled = [...entities.values()].filter(
    (entity) => hiddenOfName(entity, rights.fields?.(entity.type)).length > 0,
  )
  if (veiled.length === 0) return rows.map((row) => ({ row, activity: null }))
  const activities = rows.map(({ json }): Activity => JSON.parse(json))
  const titles = new Map<string, (id: string) => string>()
  for (const entity of veiled) {
    const ids = activities.filter(({ entityType }) => entityType === entity.type).flatMap(idsOf)
    if (ids.length > 0) titles.set(entity.type, await titlesFor(tx, entity, ids))
  }
  return rows.map((row, index) => {
    const kept = activities[index]
    const entity = entities.get(kept?.entityType ?? '')
    const rules = entity && rights.fields?.(entity.type)
    const titleOf = titles.get(kept?.entityType ?? '')
    if (!kept || !entity || !rules || !titleOf) return { row, activity: null }
    const activity = seenActivity(kept, entity, rules, titleOf)
    return { row: { ...row, json: JSON.stringify(activity) }, activity }
  })
}

/** The records whose names an activity tells. */
const idsOf = ({ entityId, metadata }: Activity): string[] => [
  ...(entityId === null ? [] : [entityId]),
  ...(Array.isArray(metadata.merged) ? metadata.merged.map(({ id }) => String(id)) : []),
]
