import type { Tx } from '../db/database.ts'
import { invalidMember } from '../errors.ts'
import type { Entity } from './define.ts'

/** Filters and sort as somebody saved them, under the names of the list's parameters. */
export interface SavedQuery {
  readonly filters: Readonly<Record<string, unknown>>
  readonly sort: string | null
}

/** Finds what is saved under an id for the list of a noun; undefined when it is not there or not for the caller. */
export type SavedQueries = (tx: Tx, entity: Entity, id: string) => Promise<SavedQuery | undefined>

/** What a list is asked for: with `view`, what is saved there, unless the request says the same parameter itself. */
export async function withSaved(
  tx: Tx,
  entity: Entity,
  search: URLSearchParams,
  saved: SavedQueries | undefined,
): Promise<URLSearchParams> {
  const [id, ...more] = search.getAll('view')
  if (id === undefined || !saved) return search
  if (more.length > 0) throw invalidMember('view', 'must be given once', 'duplicate')
  const found = await saved(tx, entity, id)
  if (!found) throw invalidMember('view', `must be the id of a view of ${entity.path} that you may see`)
  const whole = new URLSearchParams(search)
  whole.delete('view')
  const said = new Set([...whole.keys()].map(spelled))
  for (const [name, value] of searchOf(found)) if (!said.has(spelled(name))) whole.append(name, value)
  return whole
}

/** What is saved, as the query of a list. */
export function searchOf({ filters, sort }: SavedQuery): URLSearchParams {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(filters)) search.append(name, String(value))
  if (sort !== null) search.append('sort', sort)
  return search
}

/** `name=` and `name[eq]=` are two spellings of one filter. */
const spelled = (name: string): string => name.replace(/\[eq\]$/, '')
